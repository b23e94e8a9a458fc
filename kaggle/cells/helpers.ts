/** The first code cell: folders, and how programs are run so that their output is seen while they work. */
export const HELPERS = `
import base64, hashlib, json, os, pathlib, shutil, subprocess, sys, time

BEGAN = time.time()
ON_KAGGLE = os.path.isdir("/kaggle/working")

def folder(variable, on_kaggle, elsewhere):
    path = pathlib.Path(os.environ.get(variable) or (on_kaggle if ON_KAGGLE else elsewhere)).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path

KEEP = folder("LEMA_KEEP", "/kaggle/working", "lema-kept")  # what Kaggle keeps: 20 GB
WORK = folder("LEMA_WORK", "/tmp/lema", "lema-work")  # what goes with the session
INPUT = folder("LEMA_INPUT", "/kaggle/input", "lema-input")  # what is attached to the notebook
LEMA, PROJECT = WORK / "lema", WORK / "project"

def run(*argv, cwd=None, lines=()):
    """Runs a program on some lines of input and shows what it prints as it comes. A failure ends the notebook."""
    argv = [str(part) for part in argv]
    print("$", *argv, flush=True)
    with subprocess.Popen(argv, cwd=cwd or PROJECT, text=True, errors="replace",
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        process.stdin.write("".join(f"{line}\\n" for line in lines))
        process.stdin.close()
        for line in process.stdout:
            print(line, end="", flush=True)
    if process.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with exit code {process.returncode}; what it said stands above")

def ask(*argv):
    """What a program prints; None where it is missing or fails."""
    try:
        done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

def unpack(into, sha256, encoded):
    """Writes the files that a cell carries. Node.js undoes their compression, which Python cannot."""
    packed = base64.b85decode("".join(encoded.split()))
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise RuntimeError("this notebook was damaged: build it again")
    undo = ("import { readFileSync } from 'node:fs'; import { brotliDecompressSync } from 'node:zlib';"
            "process.stdout.write(brotliDecompressSync(readFileSync(0)))")
    undone = subprocess.run([str(NODE), "--input-type=module", "-e", undo], input=packed, stdout=subprocess.PIPE, check=True)
    files = json.loads(undone.stdout)
    for name, content in files.items():
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content["text"].encode() if "text" in content else base64.b64decode(content["base64"]))
    print(f"{len(files)} files in {into}")
`;
