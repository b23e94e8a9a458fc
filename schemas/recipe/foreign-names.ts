/**
 * What other tools call things: axolotl, LLaMA-Factory, PEFT, TRL and the Transformers trainer.
 *
 * A value that is one of our key paths becomes "it is `adapter.rank` here"; any other value is the whole hint.
 */
import type { ForeignNames } from "../check-document.ts";

const NOT_NEEDED = "not needed: lema plans this from the memory budget";
const NO_QUANTIZATION =
  "the base model is kept in its own dtype; give less `memory` instead and lema streams it";
const ONE_DEVICE = "not available: lema plans for one device";

export const foreignNames: ForeignNames = new Map([
  // Model and adapter
  ["base_model", "model"],
  ["model_name_or_path", "model"],
  ["model_name", "model"],
  ["pretrained_model_name_or_path", "model"],
  ["r", "adapter.rank"],
  ["lora_r", "adapter.rank"],
  ["lora_rank", "adapter.rank"],
  ["lora_alpha", "adapter.alpha"],
  ["lora_dropout", "adapter.dropout"],
  ["lora_target", "adapter.targets"],
  ["lora_target_modules", "adapter.targets"],
  ["lora_target_linear", "`adapter.targets: all-linear` is the same"],
  ["target_modules", "adapter.targets"],
  ["use_rslora", "adapter.rslora"],
  ["peft_use_rslora", "adapter.rslora"],
  ["lora_model_dir", "adapter.from"],
  ["adapter_name_or_path", "adapter.from"],
  ["peft_config", "adapter"],
  ["lora_config", "adapter"],
  ["finetuning_type", "adapter.type"],
  // Data
  ["datasets", "dataset"],
  ["dataset_name", "dataset.path"],
  ["dataset_dir", "dataset.path"],
  ["data_files", "dataset.path"],
  ["train_file", "dataset.path"],
  ["chat_template", "dataset.template"],
  ["train_on_inputs", "`dataset.train_on: all` trains on inputs too; `assistant` does not"],
  ["assistant_only_loss", "dataset.train_on"],
  ["completion_only_loss", "dataset.train_on"],
  ["train_on_prompt", "`dataset.train_on: all` trains on prompts too"],
  ["val_set_size", "dataset.validation"],
  ["val_size", "dataset.validation"],
  ["test_size", "dataset.validation"],
  ["eval_split", "dataset.validation"],
  ["shuffle_merged_datasets", "dataset.shuffle"],
  // Sequence
  ["cutoff_len", "sequence.length"],
  ["sequence_len", "sequence.length"],
  ["seq_length", "sequence.length"],
  ["max_length", "sequence.length"],
  ["max_seq_length", "sequence.length"],
  ["max_seq_len", "sequence.length"],
  ["model_max_length", "sequence.length"],
  ["sample_packing", "sequence.packing"],
  ["neat_packing", "sequence.packing"],
  ["pad_to_sequence_len", "rows always have the full `sequence.length`"],
  ["excess_length_strategy", "sequence.truncation"],
  // Training
  ["num_epochs", "training.epochs"],
  ["num_train_epochs", "training.epochs"],
  ["max_steps", "training.steps"],
  ["train_batch_size", "training.batch_size"],
  ["global_batch_size", "training.batch_size"],
  ["micro_batch_size", "training.micro_batch"],
  ["per_device_train_batch_size", "training.micro_batch"],
  [
    "gradient_accumulation_steps",
    "give the sequences of a whole step as `training.batch_size`; lema splits it into micro-batches",
  ],
  ["lr", "training.learning_rate"],
  ["lr_scheduler", "training.schedule"],
  ["lr_scheduler_type", "training.schedule"],
  ["warmup_ratio", "training.schedule.warmup"],
  ["warmup_steps", "training.schedule.warmup"],
  ["optim", "training.optimizer"],
  ["adam_beta1", "training.optimizer.betas"],
  ["adam_beta2", "training.optimizer.betas"],
  ["adam_epsilon", "training.optimizer.eps"],
  ["gradient_clipping", "training.max_grad_norm"],
  ["bf16", "training.precision"],
  ["fp16", "training.precision"],
  ["mixed_precision", "training.precision"],
  ["torch_dtype", "training.precision"],
  ["data_seed", "training.seed"],
  // Saving
  ["save_steps", "checkpoint.every"],
  ["save_total_limit", "checkpoint.keep"],
  ["output_dir", "output"],
  // What lema does by itself, or does not do
  ["gradient_checkpointing", NOT_NEEDED],
  ["activation_offloading", NOT_NEEDED],
  ["layer_offloading", NOT_NEEDED],
  ["device_map", NOT_NEEDED],
  ["max_memory", "memory"],
  ["flash_attention", NOT_NEEDED],
  ["flash_attn", NOT_NEEDED],
  ["load_in_4bit", NO_QUANTIZATION],
  ["load_in_8bit", NO_QUANTIZATION],
  ["quantization_bit", NO_QUANTIZATION],
  ["deepspeed", ONE_DEVICE],
  ["fsdp", ONE_DEVICE],
]);
