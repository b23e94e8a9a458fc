/**
 * Problems as values: what is wrong, where, and the way out.
 *
 * Every code is declared here once, with the kind of problem it is and the exit code it leads to; the reference
 * page `docs/diagnostics.md` is generated from this table. Each part of lema appends its codes to its own section.
 *
 * Example: `diagnostic("recipe.unknown-key", { summary: "unknown key `lora_r`", hint: "did you mean `adapter.rank`?" })`
 */
import * as z from "zod";

/** Who has to act: the user, the machine's owner, or us. */
export type DiagnosticKind = "user" | "environment" | "bug";

/** 0 ok · 1 error · 2 differs · 3 does not fit · 4 stale plan · 5 verification failed. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5;

interface CodeDeclaration {
  readonly kind: DiagnosticKind;
  readonly exit: ExitCode;
  /** One sentence for the reference. */
  readonly doc: string;
}

const declared = <const Table extends Record<string, CodeDeclaration>>(table: Table): Table => table;

export const diagnosticCodes = declared({
  "lema.bug": { kind: "bug", exit: 1, doc: "An invariant of lema does not hold. Please report it." },

  // Recipes
  "recipe.syntax": { kind: "user", exit: 1, doc: "The recipe is not YAML 1.2." },
  "recipe.duplicate-key": { kind: "user", exit: 1, doc: "A key is given twice in one section." },
  "recipe.unknown-key": {
    kind: "user",
    exit: 1,
    doc: "A key is not part of the recipe format; a misspelt option would otherwise be ignored.",
  },
  "recipe.missing-key": { kind: "user", exit: 1, doc: "A required key is absent." },
  "recipe.invalid-value": { kind: "user", exit: 1, doc: "A value is of the wrong kind or out of range." },
  "recipe.conflict": { kind: "user", exit: 1, doc: "Two keys contradict each other." },
  "recipe.bad-override": { kind: "user", exit: 1, doc: "A `--set key=value` cannot be applied." },

  // Hardware profiles
  "hardware.invalid-profile": {
    kind: "user",
    exit: 1,
    doc: "A hardware profile is not YAML or does not match its schema.",
  },
  "hardware.not-found": {
    kind: "user",
    exit: 1,
    doc: "The recipe names a hardware profile that does not exist.",
  },
  "hardware.no-vram-tier": {
    kind: "user",
    exit: 1,
    doc: "The recipe gives a vram budget, and the profile has no links to a vram tier.",
  },
  "hardware.precision": {
    kind: "user",
    exit: 1,
    doc: "The machine does not compute in the recipe's precision.",
  },
  "hardware.beyond-memory": {
    kind: "user",
    exit: 1,
    doc: "A budget is larger than the machine's memory (a warning: the plan may be for another machine).",
  },
  "hardware.not-probed": {
    kind: "environment",
    exit: 1,
    doc: "No measured profile of this machine exists, so a shipped one stands in (a warning).",
  },
  "hardware.slower": {
    kind: "environment",
    exit: 1,
    doc: "The machine was measured to be slower than the one that the plan was made for (a warning).",
  },

  // Models: a checkpoint's directory and its config.json
  "model.not-found": { kind: "user", exit: 1, doc: "The model is neither a directory nor a known shape." },
  "model.missing-file": {
    kind: "user",
    exit: 1,
    doc: "The model's directory lacks a file that every model has.",
  },
  "model.syntax": {
    kind: "user",
    exit: 1,
    doc: "A JSON file of the model or adapter is malformed or repeats a key.",
  },
  "model.unsupported-family": { kind: "user", exit: 1, doc: "The architecture is not one that lema knows." },
  "model.invalid-value": {
    kind: "user",
    exit: 1,
    doc: "A field of config.json is missing, of the wrong kind, or contradicts another.",
  },
  "model.unsupported-feature": {
    kind: "user",
    exit: 1,
    doc: "A field of config.json changes the mathematics in a way that lema does not compute.",
  },
  "model.unknown-field": {
    kind: "user",
    exit: 1,
    doc: "A field of config.json is unknown and does not look mathematical; it is ignored (a warning).",
  },
  "model.sequence-too-long": {
    kind: "user",
    exit: 1,
    doc: "The sequence is longer than the model's attention window (an error) or than it was trained for (a warning).",
  },

  // Weights: safetensors files
  "weights.unreadable": { kind: "environment", exit: 1, doc: "A weight file cannot be opened or read." },
  "weights.missing-file": {
    kind: "user",
    exit: 1,
    doc: "The model has no safetensors file, or a shard is missing.",
  },
  "weights.bad-header": {
    kind: "user",
    exit: 1,
    doc: "A safetensors header is not what the format allows: its length, its JSON, or a field.",
  },
  "weights.unknown-dtype": {
    kind: "user",
    exit: 1,
    doc: "A safetensors header names a dtype that lema does not know.",
  },
  "weights.bad-layout": {
    kind: "user",
    exit: 1,
    doc: "A tensor's bytes do not match its shape, overlap another tensor's, or leave a hole.",
  },
  "weights.truncated": { kind: "user", exit: 1, doc: "A weight file is shorter than its header says." },
  "weights.trailing-bytes": { kind: "user", exit: 1, doc: "A weight file is longer than its header says." },
  "weights.bad-index": {
    kind: "user",
    exit: 1,
    doc: "The index of a sharded model is malformed or disagrees with the shards.",
  },
  "weights.duplicate-tensor": { kind: "user", exit: 1, doc: "Two shards hold a tensor of the same name." },
  "weights.missing-tensor": {
    kind: "user",
    exit: 1,
    doc: "The checkpoint lacks a tensor that the model needs.",
  },
  "weights.wrong-shape": {
    kind: "user",
    exit: 1,
    doc: "A tensor's shape is not the one config.json implies.",
  },
  "weights.unsupported-dtype": {
    kind: "user",
    exit: 1,
    doc: "A tensor is stored in a dtype that lema does not read.",
  },
  "weights.unexpected-tensor": {
    kind: "user",
    exit: 1,
    doc: "The checkpoint holds tensors that the model does not use (a warning).",
  },
  "weights.digest-mismatch": {
    kind: "user",
    exit: 4,
    doc: "A tensor's bytes are not those that the plan was made for.",
  },
  "weights.non-finite": { kind: "user", exit: 1, doc: "A tensor of the model holds NaN or infinity." },
  "weights.overflow": {
    kind: "user",
    exit: 1,
    doc: "A weight is too large for the dtype that it is to be stored in.",
  },
  "weights.changed": { kind: "environment", exit: 1, doc: "A weight file changed while it was being read." },
  "weights.cache": {
    kind: "environment",
    exit: 1,
    doc: "Digests cannot be kept in the cache and will be computed again next time (a warning).",
  },

  // Adapters
  "adapter.not-found": {
    kind: "user",
    exit: 1,
    doc: "The adapter's directory or one of its files does not exist.",
  },
  "adapter.invalid-config": {
    kind: "user",
    exit: 1,
    doc: "A field of adapter_config.json is missing or malformed.",
  },
  "adapter.unsupported": {
    kind: "user",
    exit: 1,
    doc: "The adapter uses a feature of PEFT that lema does not train.",
  },
  "adapter.dropout": {
    kind: "user",
    exit: 1,
    doc: "The adapter was trained with dropout, which lema does not apply (a warning).",
  },
  "adapter.wrong-tensors": {
    kind: "user",
    exit: 1,
    doc: "The adapter's tensors are not those that its config and the model imply.",
  },
  "adapter.bad-target": {
    kind: "user",
    exit: 1,
    doc: "An adapter target is not a linear layer of the model.",
  },
  "adapter.no-base": {
    kind: "user",
    exit: 1,
    doc: "The model that an adapter was trained on is not where the run or the adapter's config says.",
  },
  "adapter.other-base": {
    kind: "user",
    exit: 1,
    doc: "The base model's weights are not those that the adapter was trained on.",
  },

  // Directories that lema makes: merged, prepared and downloaded models
  "output.exists": { kind: "user", exit: 1, doc: "The directory or file to be written exists already." },
  "output.locked": {
    kind: "user",
    exit: 1,
    doc: "Another process is writing the same directory or file.",
  },
  "output.no-space": {
    kind: "environment",
    exit: 1,
    doc: "The disk, a quota or a limit leaves too little room for what is to be written.",
  },

  "merge.differs": {
    kind: "bug",
    exit: 5,
    doc: "A merged model gives other logits than its base with the adapter, by more than rounding explains.",
  },
  "merge.rounded-away": {
    kind: "user",
    exit: 1,
    doc: "Storing the merged weights rounds them by as much as the adapter changes them.",
  },
  "export.not-merged": {
    kind: "user",
    exit: 1,
    doc: "A run or an adapter is to be exported, before it is merged.",
  },
  "export.tokenizer": {
    kind: "user",
    exit: 1,
    doc: "The engine that a model is exported for would run its tokenizer differently.",
  },

  // The Hugging Face Hub
  "hub.bad-endpoint": {
    kind: "user",
    exit: 1,
    doc: "HF_ENDPOINT is no web address, or a token would be sent there unencrypted.",
  },
  "hub.unreachable": {
    kind: "environment",
    exit: 1,
    doc: "The Hub does not answer, or keeps breaking the connection.",
  },
  "hub.unauthorized": {
    kind: "user",
    exit: 1,
    doc: "The Hub wants a token, does not know it, or does not allow it what was asked.",
  },
  "hub.not-found": { kind: "user", exit: 1, doc: "The Hub has no such repository, revision or file." },
  "hub.refused": {
    kind: "environment",
    exit: 1,
    doc: "The Hub gave an answer that does not let the command go on.",
  },
  "hub.digest-mismatch": {
    kind: "environment",
    exit: 1,
    doc: "A file did not arrive as the Hub describes it; it was not kept.",
  },
  "hub.no-weights": {
    kind: "user",
    exit: 1,
    doc: "The repository holds no weights that lema reads, or lacks a shard.",
  },
  "hub.incomplete": {
    kind: "user",
    exit: 1,
    doc: "A directory to be uploaded lacks a shard that its index names, and the repository has none.",
  },

  // Kaggle
  "kaggle.not-built": {
    kind: "environment",
    exit: 1,
    doc: "This lema lacks files that a notebook has to carry.",
  },
  "kaggle.no-user": { kind: "user", exit: 1, doc: "Whose notebook it will be on Kaggle is not known." },
  "kaggle.too-large": {
    kind: "user",
    exit: 1,
    doc: "A notebook would be larger than Kaggle takes, or a file too large to stand in one.",
  },
  "kaggle.no-cli": {
    kind: "environment",
    exit: 1,
    doc: "The official `kaggle` command is missing, or older than 2.2.",
  },
  "kaggle.refused": {
    kind: "environment",
    exit: 1,
    doc: "Kaggle, or its official command, refused: the network, the account or the notebook.",
  },
  "kaggle.session-failed": {
    kind: "environment",
    exit: 1,
    doc: "The notebook's session on Kaggle ended without completing.",
  },

  // Command line
  "cli.usage": { kind: "user", exit: 1, doc: "A command or an option is unknown, missing or malformed." },
  "cli.unreadable-file": { kind: "environment", exit: 1, doc: "A file cannot be read." },
  "cli.interrupted": { kind: "user", exit: 1, doc: "A signal ended a command before it was done." },
  "cli.system": { kind: "environment", exit: 1, doc: "The operating system refused an operation." },

  // Talking to a model
  "chat.too-long": {
    kind: "user",
    exit: 1,
    doc: "The context has no room for a prompt and a token of its reply.",
  },
  "serve.address": { kind: "environment", exit: 1, doc: "The server cannot listen where it is told to." },
  "serve.no-token": {
    kind: "user",
    exit: 1,
    doc: "A server that other machines can reach has no token, so it would answer everybody.",
  },

  // data: the dataset file, its tokenizer and its chat template
  "data.unreadable": { kind: "environment", exit: 1, doc: "The dataset file cannot be opened or read." },
  "data.bad-line": { kind: "user", exit: 1, doc: "A line of the dataset is not one JSON object in UTF-8." },
  "data.missing-field": { kind: "user", exit: 1, doc: "A dataset row lacks a field that its format needs." },
  "data.wrong-type": {
    kind: "user",
    exit: 1,
    doc: "A field of a dataset row has a type or value that its format does not allow.",
  },
  "data.unsupported-field": {
    kind: "user",
    exit: 1,
    doc: "A dataset row uses a feature, such as tool calls, that lema would have to ignore.",
  },
  "data.too-long": {
    kind: "user",
    exit: 1,
    doc: "A sample has more tokens than the sequence length; the recipe says whether that is an error.",
  },
  "data.unsupervised": {
    kind: "user",
    exit: 1,
    doc: "A sample has no supervised token; the recipe says whether that is an error.",
  },
  "data.empty": { kind: "user", exit: 1, doc: "No sample is left to train on." },
  "data.validation-size": {
    kind: "user",
    exit: 1,
    doc: "The validation split leaves no sample for training.",
  },
  "data.more-problems": {
    kind: "user",
    exit: 1,
    doc: "Further problems of the dataset were counted but are not listed.",
  },
  "data.merged-boundary": {
    kind: "user",
    exit: 1,
    doc: "A token spans the border between prompt and answer, so the prompt alone tokenizes differently (warning).",
  },
  "data.too-few": {
    kind: "user",
    exit: 1,
    doc: "`lema dataset build` is asked for more examples or held-out questions than its corpus holds.",
  },
  "data.output-exists": {
    kind: "user",
    exit: 1,
    doc: "`lema dataset build` would replace a file with other content.",
  },
  "data.cache-damaged": {
    kind: "environment",
    exit: 1,
    doc: "A token cache file is damaged or cannot be written; the tokens are computed again (warning).",
  },
  "tokenizer.unreadable": {
    kind: "user",
    exit: 1,
    doc: "`tokenizer.json` or `tokenizer_config.json` is missing or is not JSON.",
  },
  "tokenizer.unsupported": {
    kind: "user",
    exit: 1,
    doc: "The tokenizer uses a component that lema cannot run.",
  },
  "tokenizer.no-eos": {
    kind: "user",
    exit: 1,
    doc: "The tokenizer names no end-of-sequence token, so answers could not be taught to end.",
  },
  "tokenizer.vocabulary": { kind: "user", exit: 1, doc: "A token id has no row in the model's embedding." },
  "tokenizer.offsets": {
    kind: "user",
    exit: 1,
    doc: "The tokens of a text do not spell it (the tokenizer rewrites it, or lacks a character), so no loss mask can be laid over them.",
  },
  "template.unreadable": {
    kind: "user",
    exit: 1,
    doc: "The chat template is neither a built-in name nor a readable file, or the tokenizer has none.",
  },
  "template.syntax": { kind: "user", exit: 1, doc: "The chat template is not valid Jinja." },
  "template.render": { kind: "user", exit: 1, doc: "The chat template rejects a conversation." },
  "template.unstable": {
    kind: "user",
    exit: 1,
    doc: "The chat template renders the start of a conversation differently once more messages follow, so its trained part cannot be told.",
  },

  // The plan verifier
  "plan.does-not-fit": { kind: "user", exit: 3, doc: "No plan of this recipe fits a memory budget." },
  "verify.format": {
    kind: "user",
    exit: 5,
    doc: "The plan is of a major format version that this lema does not read.",
  },
  "verify.schema": {
    kind: "user",
    exit: 5,
    doc: "The plan does not have the shape of a plan: a field is missing or of the wrong kind.",
  },
  "verify.duplicate-id": { kind: "user", exit: 5, doc: "Two things of one kind have the same id." },
  "verify.reference": { kind: "user", exit: 5, doc: "An id refers to nothing." },
  "verify.op-table": { kind: "user", exit: 5, doc: "The plan was made with another op table." },
  "verify.plan-id": {
    kind: "user",
    exit: 5,
    doc: "`plan_id` or `estimate_id` is not the digest of the plan.",
  },
  "verify.lane": {
    kind: "user",
    exit: 5,
    doc: "An instruction is on a lane, or touches an arena, that its kind does not allow.",
  },
  "verify.file-range": {
    kind: "user",
    exit: 5,
    doc: "A read takes bytes that are not those of its tensor, or lie outside the file.",
  },
  "verify.tensor": {
    kind: "user",
    exit: 5,
    doc: "A tensor does not lie inside its file, its bytes do not match its shape, or two tensors overlap.",
  },
  "verify.unit": {
    kind: "user",
    exit: 5,
    doc: "The parts of the units do not cover every weight exactly once.",
  },
  "verify.state": {
    kind: "user",
    exit: 5,
    doc: "A parameter, constant, step input, output or checkpoint tensor is misplaced.",
  },
  "verify.arena": {
    kind: "user",
    exit: 5,
    doc: "A buffer does not lie inside its arena, or a place inside its buffer.",
  },
  "verify.alignment": {
    kind: "user",
    exit: 5,
    doc: "An address is not a multiple of the alignment it needs.",
  },
  "verify.overlap": {
    kind: "user",
    exit: 5,
    doc: "Two buffers that are alive at the same time share bytes.",
  },
  "verify.lifetime": {
    kind: "user",
    exit: 5,
    doc: "A buffer is touched outside its lifetime, or its lifetime is not one of its program.",
  },
  "verify.budget": {
    kind: "user",
    exit: 5,
    doc: "A tier's arena, reserve and total do not add up, or exceed the budget.",
  },
  "verify.call-shape": {
    kind: "user",
    exit: 5,
    doc: "A call's shapes, dtypes or attributes are not what its op declares.",
  },
  "verify.call-view": {
    kind: "user",
    exit: 5,
    doc: "An operand lies outside its formal, or shares bytes with another that is written.",
  },
  "verify.call-access": {
    kind: "user",
    exit: 5,
    doc: "A call does to a formal what the procedure's signature does not allow.",
  },
  "verify.workspace": {
    kind: "user",
    exit: 5,
    doc: "A kernel's workspace is missing, too small, misplaced or in use by an operand.",
  },
  "verify.flops": { kind: "user", exit: 5, doc: "A procedure's operation count is not that of its calls." },
  "verify.binding": {
    kind: "user",
    exit: 5,
    doc: "A procedure's formals are not bound one by one to separate bytes.",
  },
  "verify.effects": {
    kind: "user",
    exit: 5,
    doc: "The declared reads and writes of an instruction are not those of its work.",
  },
  "verify.bytes": {
    kind: "user",
    exit: 5,
    doc: "The declared bytes of an instruction are not those that it moves.",
  },
  "verify.wait": {
    kind: "user",
    exit: 5,
    doc: "A wait refers forwards, to another part, or to a call that does not exist.",
  },
  "verify.race": {
    kind: "user",
    exit: 5,
    doc: "Two instructions on different lanes touch the same bytes, one writing, and nothing orders them.",
  },
  "verify.undefined-read": {
    kind: "user",
    exit: 5,
    doc: "Bytes are read that nobody wrote, or that hold somebody else's data.",
  },
  "verify.dtype": {
    kind: "user",
    exit: 5,
    doc: "Bytes are read in another dtype than they were written in.",
  },
  "verify.contents": {
    kind: "user",
    exit: 5,
    doc: "A slot does not hold the weights that its reader expects.",
  },
  "verify.residency": {
    kind: "user",
    exit: 5,
    doc: "The steady part does not start and end with the weights that the plan says are resident.",
  },
  "verify.semantics": {
    kind: "user",
    exit: 5,
    doc: "The instructions are not those of a step: each unit's forward and backward once per micro-batch, in order.",
  },
  "verify.cache": {
    kind: "user",
    exit: 5,
    doc: "A block does not append its keys and values to its own cache and attend over them, or somebody else touches it.",
  },
  "verify.logits": {
    kind: "user",
    exit: 5,
    doc: "A part of the head does not write its own part of the logits.",
  },
  "verify.optimizer": {
    kind: "user",
    exit: 5,
    doc: "A gradient is not zeroed, accumulated, measured and applied exactly once per step.",
  },
  "verify.sink": {
    kind: "user",
    exit: 5,
    doc: "A checkpoint file is not written completely and exactly once.",
  },
  "verify.bound": {
    kind: "user",
    exit: 5,
    doc: "A traffic figure or its lower bound does not follow from the plan.",
  },

  // Executing a plan
  "plan.syntax": { kind: "user", exit: 5, doc: "A plan file is not JSON." },
  "plan.other-purpose": {
    kind: "user",
    exit: 1,
    doc: "A command for plans to train was given a plan to generate.",
  },
  "plan.stale": {
    kind: "user",
    exit: 4,
    doc: "An input of the plan is no longer what it was when the plan was made.",
  },
  "plan.op-table": {
    kind: "user",
    exit: 4,
    doc: "The plan was made for another set of kernels than this lema has.",
  },
  "plan.not-executable": {
    kind: "user",
    exit: 1,
    doc: "The plan comes from a dry run, which opens no weights and no data.",
  },
  "plan.no-vram": {
    kind: "user",
    exit: 1,
    doc: "A plan that computes in ram is to run on a CUDA device.",
  },
  "plan.free-memory": {
    kind: "environment",
    exit: 3,
    doc: "The machine has less free memory than the plan needs.",
  },
  "run.locked": {
    kind: "user",
    exit: 1,
    doc: "Another process is writing the run directory.",
  },
  "run.output-exists": {
    kind: "user",
    exit: 1,
    doc: "The output directory holds a run already, which would be overwritten.",
  },
  "run.output-unwritable": {
    kind: "environment",
    exit: 1,
    doc: "The output directory cannot be created or written.",
  },
  "run.no-trace": {
    kind: "user",
    exit: 1,
    doc: "The run was not traced, so when its instructions ran is not known.",
  },
  "run.not-found": { kind: "user", exit: 1, doc: "There is no run to resume." },
  "run.non-finite": {
    kind: "user",
    exit: 1,
    doc: "The loss or the gradient of a step is NaN or infinite.",
  },
  "run.over-budget": {
    kind: "environment",
    exit: 1,
    doc: "The process took more memory than the plan's arena and reserve, or a device more after the plan was loaded.",
  },
  "run.cancelled": { kind: "user", exit: 1, doc: "The run was stopped before its step ended." },
  "run.io-error": {
    kind: "environment",
    exit: 1,
    doc: "The operating system refused to read or write a file of a run: a full disk, or one that fails.",
  },
  "run.out-of-memory": {
    kind: "environment",
    exit: 1,
    doc: "An arena could not be allocated: less memory is free, in ram or on the device, than the plan takes.",
  },
  "run.device-failed": {
    kind: "environment",
    exit: 1,
    doc: "The device refused a launch, or reported that a kernel or a copy failed.",
  },
  "run.engine": {
    kind: "environment",
    exit: 1,
    doc: "The native engine refused or failed: a plan or a value that it cannot take.",
  },
  "generation.context-full": {
    kind: "user",
    exit: 1,
    doc: "A text does not fit behind what the context of a generation holds.",
  },
  "run.no-addon": { kind: "environment", exit: 1, doc: "The native module is missing or cannot be loaded." },
  "run.no-device": {
    kind: "environment",
    exit: 1,
    doc: "The CUDA object, the NVIDIA driver or a device is missing on this machine.",
  },
  "run.addon-mismatch": {
    kind: "environment",
    exit: 1,
    doc: "The native module was built for another op table than this version of lema has.",
  },
  "checkpoint.not-found": { kind: "user", exit: 1, doc: "There is no checkpoint of that name in the run." },
  "checkpoint.incomplete": {
    kind: "user",
    exit: 1,
    doc: "A directory is not a complete checkpoint: it has no manifest.",
  },
  "checkpoint.damaged": {
    kind: "environment",
    exit: 1,
    doc: "A file of a checkpoint is not the one that its manifest describes.",
  },
  "checkpoint.mismatch": {
    kind: "user",
    exit: 4,
    doc: "A checkpoint comes from a plan with other inputs, training or numerics.",
  },
  "checkpoint.elsewhere": {
    kind: "user",
    exit: 1,
    doc: "A checkpoint was made by another build, processor or backend, so that the same bits cannot be promised.",
  },
});

export type DiagnosticCode = keyof typeof diagnosticCodes;

/** Where in the user's text the problem stands; lines and columns start at 1. */
export const placeSchema = z.object({
  file: z.string(),
  line: z.int().positive().optional(),
  column: z.int().positive().optional(),
  /** Key path inside the document, such as `memory.vram`. */
  path: z.string().optional(),
});
export type Place = z.infer<typeof placeSchema>;

export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: "error" | "warning";
  readonly summary: string;
  readonly detail?: string | undefined;
  readonly where?: Place | undefined;
  readonly hint?: string | undefined;
}

/** Builds a diagnostic; severity defaults to `error`. */
export function diagnostic(
  code: DiagnosticCode,
  text: { summary: string; detail?: string; where?: Place; hint?: string; severity?: "error" | "warning" },
): Diagnostic {
  return { code, severity: "error", ...text };
}

/** Carries diagnostics through code that cannot return them as values; caught once, in `cli/` or by the library's user. */
export class DiagnosticError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: Diagnostic | readonly Diagnostic[]) {
    const list = Array.isArray(diagnostics) ? diagnostics : [diagnostics as Diagnostic];
    super(list.map((d) => `${d.code}: ${d.summary}`).join("\n"));
    this.name = "DiagnosticError";
    this.diagnostics = list;
  }
}

/** Throws a bug report when `condition` is false: for what cannot happen. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new DiagnosticError(diagnostic("lema.bug", { summary: `bug in lema: ${message}` }));
}

/** The exit code of a set of diagnostics: the most specific error wins, warnings alone exit 0. */
export function exitCodeOf(diagnostics: readonly Diagnostic[]): ExitCode {
  const exits = diagnostics
    .filter((d) => d.severity === "error")
    .map((d) => diagnosticCodes[d.code].exit as ExitCode);
  return exits.length === 0 ? 0 : (Math.max(...exits) as ExitCode);
}
