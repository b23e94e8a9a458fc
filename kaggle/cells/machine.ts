/** What this machine is: its GPU, the CUDA toolkit to build with, its memory and disk. */
export const MACHINE = `
def detect():
    listed = ask("nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits")
    gpus = [line.split(", ") for line in (listed or "").splitlines()]
    home = os.environ.get("CUDA_HOME")
    places = [f"{home}/bin/nvcc"] if home else [shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"]
    nvcc = next((path for path in places if path and ask(path, "--version")), None)
    release = ask(nvcc, "--version").split("release ")[1].split(",")[0] if nvcc else None
    memory = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in open("/proc/meminfo")}
    return {"gpu": gpus[0][0] if gpus else None, "gpus": len(gpus), "vram_mib": int(gpus[0][1]) if gpus else 0,
            "capability": gpus[0][2] if gpus else None,
            "nvcc": nvcc, "toolkit": release, "threads": os.cpu_count(),
            "ram": memory["MemAvailable"], "disk": shutil.disk_usage(KEEP).free}

MACHINE = detect()
# The profile that lema has of this GPU; auto: it has none, and the GPU is measured.
PROFILE = next((profile for name, profile in {"Tesla P100": "p100", "Tesla T4": "t4"}.items()
                if (MACHINE["gpu"] or "").startswith(name)), "auto")
print("GPU     ", f"{MACHINE['gpus']} × {MACHINE['gpu']}, {MACHINE['vram_mib']} MiB, compute capability {MACHINE['capability']}" if MACHINE["gpu"] else "none")
print("CUDA    ", f"toolkit {MACHINE['toolkit']} ({MACHINE['nvcc']})" if MACHINE["nvcc"] else "no toolkit")
print("CPU     ", MACHINE["threads"], "threads,", f"{MACHINE['ram'] / 2**30:.1f} GiB of memory free")
print("disk    ", f"{MACHINE['disk'] / 2**30:.1f} GiB free in {KEEP}")
`;
