/**
 * `lema show --html`: a plan as one self-contained page. Style, script and data stand in the file; its content security
 * policy allows nothing else, so that it opens offline and sends nothing anywhere.
 *
 * Facts and tables are in the document itself; the script draws the charts and the instruction table.
 */
import type { AnyPlan, LaneName } from "../../../schemas/plan.ts";
import { formatBytes, formatNanoseconds } from "../../../schemas/units.ts";
import { candidateTable } from "../candidate-table.ts";
import { stepPrediction } from "../plan-facts.ts";
import { layersOf } from "../plan-layers.ts";
import { count, machineName, modelName, workLine } from "../plan-work.ts";
import { formatCount, formatShare } from "../table.ts";
import { reportScript, reportStyle } from "./generated/assets.ts";
import { type ReportModel, reportModel } from "./model.ts";

const LANE_WORDS: Readonly<Record<LaneName, string>> = {
  disk: "disk → ram",
  h2d: "ram → vram",
  compute: "compute",
  d2h: "vram → ram",
  host: "host",
};

export function renderReport(plan: AnyPlan): string {
  const model = reportModel(plan);
  const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escaped(modelName(plan))} – lema plan</title>
<style>${reportStyle}</style>
</head>
<body>
${header(plan)}
<main>
${cards(plan)}
${timeline(model)}
${memory(plan, model)}
${instructions()}
${traffic(plan)}
${layers(plan)}
${decisions(plan)}
</main>
<footer>Made by lema ${escaped(plan.lema_version)} from the plan alone; times are predictions on the profile
${escaped(machineName(plan))}. This file loads nothing from anywhere.</footer>
<div id="tooltip" hidden></div>
<script type="application/json" id="model">${embedded(model)}</script>
<script>${reportScript}</script>
</body>
</html>
`;
}

function header(plan: AnyPlan): string {
  const { plan_id, executable } = plan;
  return `<header>
<h1>${escaped(modelName(plan))}</h1>
<p class="subtitle">${escaped(workLine(plan))}</p>
<p class="subtitle id">${escaped(plan_id)}${executable ? "" : " · dry run, not to be executed"}</p>
</header>`;
}

function cards(plan: AnyPlan): string {
  const { step_ns, bound_ns, bottleneck, lanes } = stepPrediction(plan);
  const tokens = plan.shape.tokens_per_step / (step_ns / 1e9);
  const busy = lanes.find(({ lane }) => lane === bottleneck)?.busy_ns ?? 0;
  const { vram, ram } = plan.budgets;
  const streamed = layersOf(plan).filter(({ kept }) => kept === "streamed");
  return `<div class="cards">
${card("Step, predicted", formatNanoseconds(step_ns), [
  `${tokens < 10 ? tokens.toFixed(1) : formatCount(Math.round(tokens))} tokens/s`,
  `no schedule of this work is faster than ${formatNanoseconds(bound_ns)}`,
])}
${card("Bottleneck", bottleneck, [`busy ${formatShare(busy / step_ns)} of the step`, `${plan.shape.resident_units} units resident, ${streamed.length} streamed through ${count(plan.shape.ring, "slot")}`])}
${vram === null ? "" : memoryCard("vram", vram)}
${memoryCard("ram", ram)}
</div>`;
}

function card(label: string, figure: string, notes: readonly string[]): string {
  const lines = notes.map((note) => `<p class="note">${escaped(note)}</p>`).join("");
  return `<section class="card"><p class="label">${escaped(label)}</p><p class="figure">${escaped(figure)}</p>${lines}</section>`;
}

function memoryCard(tier: string, { budget, arena, reserve, total }: AnyPlan["budgets"]["ram"]): string {
  const share = total / budget;
  const note = `of ${formatBytes(budget)} (${formatShare(share)}): arena ${formatBytes(arena)} + reserve ${formatBytes(reserve)}`;
  return `<section class="card"><p class="label">${tier}</p><p class="figure">${formatBytes(total)}</p>
<div class="meter"><span style="width:${(100 * share).toFixed(2)}%"></span></div><p class="note">${note}</p></section>`;
}

function timeline({ programs, work }: ReportModel): string {
  const options = programs.map(({ name }) => `<option>${name}</option>`).join("");
  const legend = work.map(({ id, words }) => `<li>${swatch(`work-${id}`)}${words}</li>`).join("");
  return `<section class="card">
<div class="toolbar"><h2>Timeline</h2>
<label>Program <select id="program">${options}</select></label>
<span><button type="button" data-zoom="0.5" aria-label="zoom in">+</button>
<button type="button" data-zoom="2" aria-label="zoom out">−</button>
<button type="button" data-zoom="0">Whole step</button></span></div>
<ul class="legend">${legend}<li>${swatch("stall")}the bottleneck stands still</li></ul>
<canvas id="overview" aria-hidden="true"></canvas>
<canvas id="timeline" tabindex="0" role="img" aria-label="Lanes over time; the same instructions are in the table below"></canvas>
<p class="hint">Drag to move, pinch or Ctrl + wheel to zoom. Keys: <kbd>←</kbd> <kbd>→</kbd> move, <kbd>+</kbd> <kbd>−</kbd> zoom,
<kbd>0</kbd> whole step, <kbd>n</kbd> <kbd>p</kbd> next and previous instruction of a lane, <kbd>Enter</kbd> zoom to it, <kbd>/</kbd> search.</p>
</section>`;
}

function memory(plan: AnyPlan, { arenas, holdings, buffers, programs }: ReportModel): string {
  const used = new Set(programs.flatMap(({ occupations }) => occupations.map(({ holding }) => holding)));
  const legend = holdings
    .filter(({ id }) => used.has(id))
    .map(({ id, words }) => {
      return `<li><label><input type="checkbox" checked data-holding="${id}">${swatch(`hold-${id}`)}${words}</label></li>`;
    })
    .join("");
  const charts = arenas.map(({ name, bytes }) => {
    const live = (name === "ram" ? plan.budgets.ram : plan.budgets.vram)?.max_live ?? bytes;
    const count = formatCount(buffers.filter(({ arena }) => arena === name).length);
    return `<p class="tier">${name} <span>arena ${formatBytes(bytes)}, at most ${formatBytes(live)} alive at once, ${count} buffers</span></p>
<canvas id="memory-${name}" class="memory-${name}" tabindex="0" role="img" aria-label="What lives at which address of ${name} over time"></canvas>`;
  });
  return `<section class="card"><div class="toolbar"><h2>Memory over time</h2></div>
<ul class="legend">${legend}</ul>${charts.join("\n")}
<p class="hint">Height is the address: every rectangle is a buffer where it lies. Pale: weights on their way in. Kinds that are switched off
give their height to the others.</p></section>`;
}

function instructions(): string {
  const columns = [
    ["serial", "#"],
    [null, "instruction"],
    [null, "lane"],
    ["start", "starts"],
    ["takes", "takes"],
    ["stall", "stands still"],
    ["slack", "slack"],
    ["bytes", "moves"],
  ] as const;
  const heads = columns.map(([sort, words]) => {
    const content =
      sort === null ? `<span>${words}</span>` : `<button type="button" data-sort="${sort}">${words}</button>`;
    return `<div role="columnheader">${content}</div>`;
  });
  return `<div class="split"><section class="card grid" id="instructions">
<div class="toolbar"><h2>Instructions</h2><span class="count" role="status"></span>
<input type="search" placeholder="Search: bwd/L07   lane:h2d   unit:L07" aria-label="Search instructions" spellcheck="false"></div>
<div role="grid" tabindex="0" aria-label="Instructions; arrow keys select, Enter zooms to the selected one">
<div class="head" role="row">${heads.join("")}</div>
<div class="rows" tabindex="-1" role="rowgroup"></div></div>
</section><section class="card details" id="details" aria-live="polite" aria-label="Selected instruction"></section></div>`;
}

function traffic(plan: AnyPlan): string {
  const rows = plan.bounds.map(({ program, link, moved, bound, gap_ppm, proof }) => {
    const share = moved === 0 ? 100 : (100 * bound) / moved;
    const gap =
      gap_ppm === 0
        ? `<span class="optimal">optimal</span>`
        : `${bound === 0 ? "all" : formatShare(gap_ppm / 1e6)} above`;
    return `<tr><td>${program}</td><td class="text">${LANE_WORDS[link]}</td><td class="bar"><div class="bound"><span style="width:${share.toFixed(2)}%"></span><span></span></div></td>
<td>${formatBytes(moved)}</td><td>${formatBytes(bound)}</td><td>${gap}</td><td class="text">${escaped(proof)}</td></tr>`;
  });
  return `<section class="card"><div class="toolbar"><h2>Traffic against its lower bound</h2></div><div class="scroll"><table class="plain traffic">
<thead><tr><th>program</th><th class="text">link</th><th class="text">bound, and what lies above it</th><th>moved</th><th>bound</th><th>gap</th><th class="text">proof</th></tr></thead>
<tbody>${rows.join("")}</tbody></table></div></section>`;
}

function layers(plan: AnyPlan): string {
  const rows = layersOf(plan).map(
    ({ id, bytes, kept, loads, reads, moving, computing, waiting, parameters }) => {
      const time = (ns: number): string => (ns === 0 ? "–" : formatNanoseconds(ns));
      const count = (value: number): string => (value === 0 ? "–" : formatCount(value));
      const cells = [
        formatBytes(bytes),
        count(loads),
        count(reads),
        time(moving),
        time(computing),
        time(waiting),
      ];
      return `<tr><td>${escaped(id)}</td><td class="text">${kept}</td>${[...cells, count(parameters)].map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
    },
  );
  return `<section class="card"><div class="toolbar"><h2>Layers, per training step</h2></div><div class="scroll tall" tabindex="0" role="region" aria-label="Layers"><table class="plain">
<thead><tr><th>unit</th><th class="text">kept</th><th>bytes</th><th>loads</th><th>from disk</th><th>moving</th><th>computing</th><th>waiting</th><th>trained values</th></tr></thead>
<tbody>${rows.join("")}</tbody></table></div></section>`;
}

function decisions(plan: AnyPlan): string {
  const items = plan.decisions.map(({ name, chosen, reason, recipe_path }) => {
    const because = recipe_path === null ? reason : `${reason} (${recipe_path})`;
    return `<dt>${escaped(name)}: ${escaped(chosen)}</dt><dd>${escaped(because)}</dd>`;
  });
  return `<section class="card"><div class="toolbar"><h2>Decisions</h2></div><dl class="decisions">${items.join("")}</dl>${candidates(plan)}</section>`;
}

function candidates(plan: AnyPlan): string {
  const { columns, rows } = candidateTable(plan);
  if (rows.length < 2) return "";
  const cells = (tag: string, row: readonly string[]) =>
    row
      .map((cell, column) => {
        const why = column === columns.length - 1;
        return `<${tag}${why ? ' class="text"' : ""}>${escaped(cell)}</${tag}>`;
      })
      .join("");
  const body = rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("");
  return `<h4>Shapes weighed, the chosen one first; with ~ estimated</h4><div class="scroll tall" tabindex="0" role="region" aria-label="Shapes weighed"><table class="plain">
<thead><tr>${cells("th", columns)}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function swatch(color: string): string {
  return `<span class="swatch" style="background:var(--${color})"></span>`;
}

/** JSON that cannot end the script element that it stands in. */
function embedded(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (letter) => entities[letter]!);
}
