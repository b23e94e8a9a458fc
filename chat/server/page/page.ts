/**
 * The page to chat at `/`: style and script stand in it, and its policy allows these by their digests, requests to the
 * server that it came from, and nothing else. It holds no secret: where the server asks for a token, so does the page.
 */
import { createHash } from "node:crypto";
import { pageScript, pageStyle } from "./generated/assets.ts";

export interface ChatPage {
  readonly html: string;
  /** Its content security policy. */
  readonly policy: string;
}

export function chatPage(): ChatPage {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>lema chat</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1>lema</h1><span id="model"></span>
<button type="button" id="new">New chat</button>
<button type="button" id="settings-button" aria-expanded="false" aria-controls="settings">Settings</button>
</header>
<form id="settings" hidden>
<label class="wide">System prompt <textarea id="system" rows="2" placeholder="the chat template's own"></textarea></label>
<label>Temperature <input id="temperature" type="number" min="0" max="2" step="0.1" value="0"></label>
<label>Reply, at most <input id="max-tokens" type="number" min="1" step="1" placeholder="what fits"> tokens</label>
<label class="wide" id="token-label" hidden>Token of this server <input id="token" type="password" autocomplete="off"></label>
</form>
<main id="log" role="log" aria-live="polite"></main>
<form id="composer">
<textarea id="message" rows="1" placeholder="Ask something" aria-label="Message"></textarea>
<button type="submit" id="send">Send</button>
<p id="status" role="status"></p>
</form>
<script>${pageScript}</script>
</body>
</html>
`;
  const policy = [
    "default-src 'none'",
    "connect-src 'self'",
    "img-src data:",
    `style-src ${source(pageStyle)}`,
    `script-src ${source(pageScript)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return { html, policy: policy.join("; ") };
}

function source(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
