/**
 * The page's script. The conversation is held here, as the server remembers none; where it outgrows the model's context,
 * the oldest exchanges are left out.
 */
import { type Message, type Model, Refusal, servedModel, streamReply } from "./api.ts";

interface Turn {
  readonly role: "user" | "assistant";
  content: string;
  readonly element: HTMLElement;
}

const TOKEN_KEY = "lema.token";
/** The share of the context from which on the next reply would have little room. */
const FULL = 3 / 4;

const element = <Kind extends HTMLElement>(id: string): Kind => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page lacks #${id}`);
  return found as Kind;
};
const log = element("log");
const composer = element<HTMLFormElement>("composer");
const message = element<HTMLTextAreaElement>("message");
const send = element<HTMLButtonElement>("send");
const status = element("status");
const settings = element("settings");
const settingsButton = element("settings-button");
const token = element<HTMLInputElement>("token");

let turns: Turn[] = [];
/** Turns at the beginning that the model no longer reads. */
let left = 0;
let model: Model | null = null;
/** Tokens of the last prompt and reply. */
let used = 0;
/** Stops the reply that is under way. */
let running: AbortController | null = null;

token.value = sessionStorage.getItem(TOKEN_KEY) ?? "";

async function connect(): Promise<void> {
  try {
    model = await servedModel(token.value);
    element("model").textContent = model.id;
    document.title = `${model.id} – lema chat`;
    say("");
  } catch (error) {
    explain(error);
  }
}

async function submit(text: string): Promise<void> {
  if (model === null) await connect();
  if (model === null) return;
  add("user", text);
  const reply = add("assistant", "");
  reply.element.classList.add("busy");
  running = new AbortController();
  setRunning(true);
  try {
    await answer(reply, running);
  } catch (error) {
    if (!running.signal.aborted) {
      explain(error);
      reply.element.classList.add("failed");
    } else say("stopped");
  }
  running = null;
  setRunning(false);
  reply.element.classList.remove("busy");
  // What nothing came back to is as if it had not been said, and can be said again.
  if (reply.content === "") {
    for (const { element } of turns.splice(-2)) element.remove();
    if (message.value === "") message.value = text;
  }
  resize();
  message.focus();
}

/** Asks until the conversation fits the context. */
async function answer(reply: Turn, stop: AbortController): Promise<void> {
  const started = performance.now();
  if (used > FULL * model!.max_model_len) leaveOut();
  for (;;) {
    try {
      const { usage, finish } = await streamReply(request(), token.value, stop.signal, (piece) =>
        append(reply, piece),
      );
      used = usage.total_tokens;
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const cut = finish === "length" ? "cut off after " : "";
      say(`${cut}${usage.completion_tokens} tokens in ${seconds} s, ${usage.prompt_tokens} read`);
      return;
    } catch (error) {
      const tooLong = error instanceof Refusal && error.code === "context_length_exceeded";
      if (!tooLong || left + 2 >= turns.length) throw error;
      leaveOut();
    }
  }
}

/** The oldest exchange that the model still reads. */
function leaveOut(): void {
  if (left + 2 >= turns.length) return;
  for (const { element } of turns.slice(left, left + 2)) element.classList.add("left-out");
  left += 2;
}

function request() {
  const system = element<HTMLTextAreaElement>("system").value.trim();
  const first: Message[] = system === "" ? [] : [{ role: "system", content: system }];
  // The last turn is the reply that is asked for.
  const said = turns.slice(left, -1).map(({ role, content }) => ({ role, content }));
  const limit = Number(element<HTMLInputElement>("max-tokens").value);
  return {
    model: model!.id,
    messages: [...first, ...said],
    temperature: Number(element<HTMLInputElement>("temperature").value),
    max_completion_tokens: limit > 0 ? limit : null,
  };
}

function add(role: Turn["role"], content: string): Turn {
  const bubble = document.createElement("article");
  bubble.className = role;
  bubble.setAttribute("aria-label", role === "user" ? "You" : "The model");
  bubble.textContent = content;
  log.append(bubble);
  const turn = { role, content, element: bubble };
  turns.push(turn);
  bubble.scrollIntoView({ block: "end" });
  return turn;
}

function append(turn: Turn, piece: string): void {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  turn.content += piece;
  turn.element.append(piece);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function explain(error: unknown): void {
  if (error instanceof Refusal && error.status === 401) {
    showSettings(true);
    element("token-label").hidden = false;
    token.focus();
    say("This server asks for its token.", "problem");
    return;
  }
  const text = error instanceof Refusal ? error.message : "The server does not answer.";
  say(text, "problem");
}

function say(text: string, kind: "note" | "problem" = "note"): void {
  status.textContent = text;
  status.className = kind;
}

function setRunning(runs: boolean): void {
  send.textContent = runs ? "Stop" : "Send";
  if (runs) say("");
}

function showSettings(shown: boolean): void {
  settings.hidden = !shown;
  log.scrollTop = log.scrollHeight;
  settingsButton.setAttribute("aria-expanded", String(shown));
}

/** As high as its text, up to a third of the window. */
function resize(): void {
  message.style.height = "auto";
  message.style.height = `${Math.min(message.scrollHeight + 2, window.innerHeight / 3)}px`;
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running !== null) {
    running.abort();
    return;
  }
  const text = message.value.trim();
  if (text === "") return;
  message.value = "";
  resize();
  void submit(text);
});
message.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (running === null) composer.requestSubmit();
});
message.addEventListener("input", resize);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});
element("new").addEventListener("click", () => {
  running?.abort();
  turns = [];
  left = 0;
  used = 0;
  log.replaceChildren();
  say("");
  message.focus();
});
settingsButton.addEventListener("click", () => showSettings(settings.hidden !== false));
settings.addEventListener("submit", (event) => event.preventDefault());
token.addEventListener("change", () => {
  sessionStorage.setItem(TOKEN_KEY, token.value);
  void connect();
});

// Not by `autofocus`: a browser comes to that late, and complains where the token has the focus by then.
message.focus();
void connect();
