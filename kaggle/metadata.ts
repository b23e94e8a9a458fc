/** kernel-metadata.json, as Kaggle's official command reads it beside the notebook. */
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";

export const METADATA_FILE = "kernel-metadata.json";

export interface NotebookIdentity {
  readonly user: string;
  /** The last part of its address: lower case, digits, `-`. */
  readonly slug: string;
}

export interface NotebookMachine {
  /** Kaggle's name of a GPU; null: none. */
  readonly accelerator: string | null;
  readonly visibility: "private" | "public";
  /** Datasets (`user/name`) and notebooks whose output is attached below /kaggle/input. */
  readonly datasets: readonly string[];
  /** Models on Kaggle: `user/model/framework/variation/version`. */
  readonly models: readonly string[];
  readonly notebooks: readonly NotebookIdentity[];
}

export const addressOf = ({ user, slug }: NotebookIdentity): string => `${user}/${slug}`;

/** Every key is written: what is absent keeps on Kaggle the value of an earlier version, or a default that has changed. */
export function kernelMetadata(identity: NotebookIdentity, codeFile: string, machine: NotebookMachine) {
  const { accelerator, visibility, datasets, models, notebooks } = machine;
  return {
    id: addressOf(identity),
    // Kaggle derives the address from the title, and is confused where they differ.
    title: identity.slug.replaceAll("-", " "),
    code_file: codeFile,
    language: "python",
    kernel_type: "notebook",
    is_private: visibility === "private",
    enable_gpu: accelerator !== null,
    enable_tpu: false,
    // Node.js, a model of the Hub and missing tools are fetched.
    enable_internet: true,
    ...(accelerator !== null && { machine_shape: accelerator }),
    dataset_sources: [...datasets],
    competition_sources: [],
    kernel_sources: notebooks.map(addressOf),
    model_sources: [...models],
  };
}

/** A GPU that suits a recipe; null: it asks for none. */
export function acceleratorFor(recipe: {
  readonly hardware: string;
  readonly memory: { readonly vram: number | null };
}): string | null {
  if (recipe.memory.vram === null) return null;
  return recipe.hardware === "p100" ? "NvidiaTeslaP100" : "NvidiaTeslaT4";
}

/** Kaggle's limits: 5 to 50 characters of title, of which the address is made. */
export function slugOf(name: string, purpose: "train" | "chat"): string {
  const words = name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const head = `lema-${words}`.slice(0, 50 - purpose.length - 1).replace(/-+$/, "");
  return `${head}-${purpose}`;
}

/** Throws `kaggle.no-user`. */
export function checkUser(user: string | undefined): string {
  if (user !== undefined && /^[a-z0-9][a-z0-9-]*$/i.test(user)) return user.toLowerCase();
  throw new DiagnosticError(
    diagnostic("kaggle.no-user", {
      summary: user === undefined ? "whose notebook is it?" : `\`${user}\` is no user name on Kaggle`,
      hint: "name the account with `--user NAME`, or in KAGGLE_USERNAME",
    }),
  );
}
