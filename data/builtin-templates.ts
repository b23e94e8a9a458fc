/**
 * The chat templates that ship with lema, by the name a recipe gives them.
 *
 * Each is prefix-stable (`template.ts` says why) and renders the same text in Transformers. Line breaks and
 * indentation between tags are stripped by the `-` marks, so all text of a template stands in its string literals.
 */

/** The system prompt of `lema-reply` when a conversation brings none. */
export const LEMA_SYSTEM_PROMPT = "You are a precise assistant trained using LEMA.";

/** The reply format that LEMA's demonstration teaches. */
const lemaReply = `{{- bos_token -}}
{%- if messages and messages[0]['role'] == 'system' -%}
  {%- set system = messages[0]['content'] -%}
  {%- set turns = messages[1:] -%}
{%- else -%}
  {%- set system = '${LEMA_SYSTEM_PROMPT}' -%}
  {%- set turns = messages -%}
{%- endif -%}
{{- '<|system|>\\n' + system -}}
{%- for turn in turns -%}
  {%- if turn['role'] == 'user' -%}
    {{- '\\n\\n<|user|>\\n' + turn['content'] -}}
  {%- elif turn['role'] == 'assistant' -%}
    {{- '\\n\\n<|assistant|>\\n' + turn['content'] + eos_token -}}
  {%- else -%}
    {{- raise_exception('lema-reply has no role ' + turn['role'] + ' after the system prompt') -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '\\n\\n<|assistant|>\\n' -}}
{%- endif -%}`;

/** OpenAI's ChatML, as Qwen uses it. */
const chatml = `{%- for message in messages -%}
  {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\\n' -}}
{%- endif -%}`;

/** Llama 2 Chat (Touvron et al. 2023): each exchange is a sequence of its own, with BOS and EOS. */
const llama2 = `{%- if messages and messages[0]['role'] == 'system' -%}
  {%- set system = '<<SYS>>\\n' + messages[0]['content'] | trim + '\\n<</SYS>>\\n\\n' -%}
  {%- set turns = messages[1:] -%}
{%- else -%}
  {%- set system = '' -%}
  {%- set turns = messages -%}
{%- endif -%}
{%- for turn in turns -%}
  {%- if (turn['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{- raise_exception('llama2 needs roles that alternate: user, assistant, user, …') -}}
  {%- endif -%}
  {%- if turn['role'] == 'user' -%}
    {{- bos_token + '[INST] ' + (system if loop.first else '') + turn['content'] | trim + ' [/INST]' -}}
  {%- else -%}
    {{- ' ' + turn['content'] | trim + ' ' + eos_token -}}
  {%- endif -%}
{%- endfor -%}`;

/** Llama 3 Instruct (Grattafiori et al. 2024). */
const llama3 = `{{- bos_token -}}
{%- for message in messages -%}
  {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' -}}
  {{- message['content'] | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
{%- endif -%}`;

export const builtinTemplates: ReadonlyMap<string, string> = new Map([
  ["lema-reply", lemaReply],
  ["chatml", chatml],
  ["llama2", llama2],
  ["llama3", llama3],
]);
