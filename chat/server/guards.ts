/**
 * Who may ask. A server on loopback has no password, so the pages that a browser has open must not reach it: they are
 * told apart by Host (a name of theirs that was made to mean 127.0.0.1: DNS rebinding) and by Origin (requests that one
 * site sends to another: CSRF). A token is no cookie: no browser adds it by itself.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv4 } from "node:net";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "./api-error.ts";

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  return (
    host === "localhost" || host === "::1" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."))
  );
}

/** Refuses requests for any name but this machine's own. */
export const loopbackHost: MiddlewareHandler = async (c, next) => {
  const host = hostName(c.req.header("host"));
  if (host === null || !isLoopback(host))
    throw new ApiError(403, "this server answers only to localhost", { code: "wrong_host" });
  await next();
};

/** Refuses what pages of other sites send; programs send no Origin. */
export const sameOrigin: MiddlewareHandler = async (c, next) => {
  const [origin, host] = [c.req.header("origin"), c.req.header("host")];
  if (origin !== undefined && !["http:", "https:"].some((scheme) => origin === `${scheme}//${host}`))
    throw new ApiError(403, "requests of other sites are refused", { code: "wrong_origin" });
  await next();
};

/** Bodies that a form could not send: with these, a browser asks before it sends them elsewhere. */
export const jsonBody: MiddlewareHandler = async (c, next) => {
  const type = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (c.req.method === "POST" && type !== "application/json")
    throw new ApiError(415, "the content type must be application/json");
  await next();
};

/** Asks for `Authorization: Bearer TOKEN`. */
export function bearerToken(token: string): MiddlewareHandler {
  const expected = digest(token);
  return async (c, next) => {
    const given = /^Bearer +(.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), expected))
      throw new ApiError(401, given === undefined ? "a token is required" : "the token is wrong", {
        code: "invalid_api_key",
      });
    await next();
  };
}

/** Digests are of one length, so that the comparison tells nothing. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Without the port. */
function hostName(host: string | undefined): string | null {
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(host ?? "")?.[1];
  return name?.toLowerCase() ?? null;
}
