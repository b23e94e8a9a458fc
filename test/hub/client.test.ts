import { expect, it } from "vitest";
import { createClient, headersFor, hubUrl } from "../../hub/client.ts";
import { codesOf } from "../models/helpers.ts";

const client = (endpoint: string, token: string | null) =>
  createClient(endpoint, { token, userAgent: "lema/1" });

it("sends no token unencrypted, except to this machine", async () => {
  expect(await codesOf(() => client("http://hub.example", "secret"))).toEqual(["hub.bad-endpoint"]);
  expect(await codesOf(() => client("hub.example", null))).toEqual(["hub.bad-endpoint"]);
  expect(await codesOf(() => client("file:///etc", null))).toEqual(["hub.bad-endpoint"]);
  for (const endpoint of ["http://127.0.0.1:80", "http://localhost", "http://[::1]:9", "https://hub.example"])
    expect(client(endpoint, "secret").token).toBe("secret");
  expect(client("http://hub.example", null).token).toBeNull();
});

it.each(["a\nb", "two words", "tökén", ""])(
  "refuses %j, which no header can carry as a token",
  async (token) => {
    expect(await codesOf(() => client("https://hub.example", token))).toEqual(["hub.unauthorized"]);
  },
);

it("sends its token to the endpoint's origin alone", () => {
  const hub = client("https://hub.example/mirror/", "secret");
  expect(headersFor(hub, hubUrl(hub, "api/x")).authorization).toBe("Bearer secret");
  expect(headersFor(hub, new URL("https://store.example/x")).authorization).toBeUndefined();
  expect(headersFor(hub, new URL("http://hub.example/x")).authorization).toBeUndefined();
  expect(hubUrl(hub, "api/models?x=1").href).toBe("https://hub.example/mirror/api/models?x=1");
});
