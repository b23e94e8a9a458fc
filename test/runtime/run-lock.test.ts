import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LOCK_FILE, lockRun } from "../../runtime/run-lock.ts";

const fresh = () => mkdtempSync(join(tmpdir(), "lema-lock-"));

it("keeps a second writer out until the first is done: run.locked", async () => {
  const directory = fresh();
  const release = await lockRun(directory);
  await expect(lockRun(directory)).rejects.toThrow(/run\.locked.*process \d+/s);
  await release();
  await (await lockRun(directory))();
  expect(existsSync(join(directory, LOCK_FILE))).toBe(false);
});

it("takes over from a process that is gone, also where another has its pid now", async () => {
  const directory = fresh();
  const gone = spawn("true");
  await new Promise((done) => gone.on("exit", done));
  const lock = (owner: object) => writeFileSync(join(directory, LOCK_FILE), JSON.stringify(owner));
  lock({ host: hostname(), pid: gone.pid, started: "1" });
  await (await lockRun(directory))();
  lock({ host: hostname(), pid: process.pid, started: "1" });
  const release = await lockRun(directory);
  expect(JSON.parse(readFileSync(join(directory, LOCK_FILE), "utf8")).started).not.toBe("1");
  await release();
  writeFileSync(join(directory, LOCK_FILE), '{"host');
  await (await lockRun(directory))();
});

it.runIf(process.platform === "linux")(
  "takes over from a process that was killed and is not buried",
  async () => {
    const directory = fresh();
    // What exec starts instead of the shell never waits for the shell's child.
    const parent = spawn("sh", ["-c", "sleep 60 & echo $!; exec sleep 60"]);
    const [output] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(output.toString());
    const fields = () => {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    };
    const started = fields()[19];
    writeFileSync(join(directory, LOCK_FILE), JSON.stringify({ host: hostname(), pid, started }));
    await expect(lockRun(directory)).rejects.toThrow(/run\.locked/);
    process.kill(pid, "SIGKILL");
    while (fields()[0] !== "Z") await new Promise((tick) => setTimeout(tick, 5));
    await (await lockRun(directory))();
    parent.kill("SIGKILL");
  },
);

it("believes in a process on another machine", async () => {
  const directory = fresh();
  writeFileSync(join(directory, LOCK_FILE), JSON.stringify({ host: "elsewhere", pid: 1, started: null }));
  await expect(lockRun(directory)).rejects.toThrow(/process 1 on elsewhere/);
});
