/** What the tests of this folder share. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createClient, type HubClient } from "../../hub/client.ts";
import { MockHub } from "./mock-hub.ts";

export async function startHub(): Promise<MockHub> {
  const hub = new MockHub();
  await hub.start();
  onTestFinished(() => hub.stop());
  return hub;
}

export function clientOf(hub: MockHub, token: string | null = null): HubClient {
  return createClient(hub.endpoint, { token, userAgent: "lema/test", retryMs: 1 });
}

/** A directory that is removed after the test. */
export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "lema-hub-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export const ignore = (): void => undefined;
