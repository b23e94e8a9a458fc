/** What a request is refused with, in the shape of OpenAI's API, which its clients turn into their own errors. */
import { DiagnosticError } from "../../schemas/diagnostic.ts";

export type ApiErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "not_found_error"
  | "server_error";

export interface ApiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: ApiErrorType;
    readonly param: string | null;
    readonly code: string | null;
  };
}

export type ApiStatus = 400 | 401 | 403 | 404 | 413 | 415 | 500 | 503 | 504;

const TYPES: Readonly<Record<ApiStatus, ApiErrorType>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "invalid_request_error",
  415: "invalid_request_error",
  500: "server_error",
  503: "server_error",
  504: "server_error",
};

export class ApiError extends Error {
  readonly status: ApiStatus;
  readonly body: ApiErrorBody;

  constructor(
    status: ApiStatus,
    message: string,
    { code = null, param = null }: { readonly code?: string | null; readonly param?: string | null } = {},
  ) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.body = { error: { message, type: TYPES[status], param, code } };
  }
}

/** Anything thrown: the client's mistakes as what they are, all else as the server's own. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof DiagnosticError)) return new ApiError(500, "the server failed; its log says why");
  const [{ code, summary }] = error.diagnostics as [(typeof error.diagnostics)[number]];
  if (code === "chat.too-long") return new ApiError(400, summary, { code: "context_length_exceeded" });
  if (code === "template.render") return new ApiError(400, summary, { param: "messages" });
  return new ApiError(500, summary, { code });
}
