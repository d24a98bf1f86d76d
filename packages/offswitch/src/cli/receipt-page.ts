// receipt-page.ts: a receipt as a page that a person can read, keep and print: one file, no script, nothing loaded from anywhere.
//
// Reasons, names and ids were written by strangers: each goes through `shown`, which is the only way into the page.

import { endless, type Receipt, type ReceiptSession, stageNames, stages } from '@offswitch/runtime';
import { clean, count, moment, plain } from './print.ts';
import { inTreeOrder } from './tree.ts';
import { subjectName } from './wire.ts';

/** `now`: when it is made, epoch milliseconds. */
export function receiptPage(receipts: readonly Receipt[], now: number): string {
  const title = receipts.map(({ stop }) => `${stop.action} ${stop.tier} ${subjectName(stop.subject)}`.trim()).join(', ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(clean(`Receipt: ${title}`))}</title>
<style>${style}</style>
</head>
<body>
<main>
${receipts.map(section).join('\n')}
<footer>Made by offswitch at ${shown(moment(now))}. What is not known is named, never left out.</footer>
</main>
</body>
</html>
`;
}

function section(one: Receipt): string {
  const { stop } = one;
  const name = subjectName(stop.subject);
  const rows: readonly (readonly [string, string])[] = [
    ['Reason', shown(stop.reason)],
    ['By', shown(stop.by ?? 'not said')],
    ['Cause', shown(stop.cause)],
    ['Since', shown(moment(stop.since))],
    ['Released', shown(one.released === undefined ? 'no' : moment(one.released))],
    ['Receipt', `<code>${shown(one.id)}</code>`],
    ...(one.audit ?? []).map((head): readonly [string, string] => [
      'Audit log',
      `entry ${shown(String(head.n))} of ${shown(head.process)} <code>${shown(head.hash)}</code>`,
    ]),
  ];
  return `<article>
<h1>${shown(stop.action === 'terminate' ? 'Terminated' : 'Paused')}: ${shown(stop.tier)}${name === '' ? '' : ` ${shown(name)}`}</h1>
<dl>${rows.map(([term, value]) => `<dt>${term}</dt><dd>${value}</dd>`).join('')}</dl>
<h2>Stages</h2>
<table><thead><tr><th scope="col">Stage</th><th scope="col">True since</th></tr></thead><tbody>
${stages.map((stage) => `<tr><th scope="row">${stageNames[stage]}</th><td>${one.stages[stage] === undefined ? '<strong class="open">not yet</strong>' : shown(moment(one.stages[stage]))}</td></tr>`).join('\n')}
</tbody></table>
<h2>What it cannot promise</h2>
${one.residue.length === 0 ? '<p>Nothing is known to be left over.</p>' : `<ul class="residue">${one.residue.map((left) => `<li>${shown(left)}</li>`).join('')}</ul>`}
<h2>${shown(count(one.sessions.length, 'session'))}</h2>
${one.sessions.length === 0 ? '<p>None was covered.</p>' : sessionsTable(one.sessions)}
${one.grants.length === 0 ? '' : grantsTable(one)}
</article>`;
}

function sessionsTable(sessions: readonly ReceiptSession[]): string {
  const rows = inTreeOrder(sessions).map(({ one, depth }) => {
    const forensics =
      one.forensics === undefined
        ? ''
        : 'digest' in one.forensics
          ? `<code>${shown(one.forensics.digest)}</code>`
          : `<span class="open">none: ${shown(one.forensics.missing)}</span>`;
    const row = `<tr class="${one.state === 'unconfirmed' ? 'session unconfirmed' : 'session'}"><th scope="row" style="padding-inline-start:${(0.5 + Math.min(depth, 20) * 1.25).toFixed(2)}rem">${shown(one.session)}</th><td>${shown(one.agent)}</td><td>${shown(one.user ?? '')}</td><td>${shown(one.state)}${one.why === undefined ? '' : ` (${shown(one.why)})`}</td><td>turn ${shown(String(one.checkpointTurn))}</td><td>${shown(one.process ?? 'not told')}</td><td>${forensics}</td></tr>`;
    if (one.calls.length === 0) return row;
    const calls = one.calls.map(
      (call) =>
        `<li${call.outcome === 'unknown' ? ' class="open"' : ''}>${shown(call.id)} ${shown(call.kind)} ${shown(call.name)}: <b>${shown(call.outcome)}</b>${call.idempotencyKey === undefined ? '' : ` <code>${shown(call.idempotencyKey)}</code>`}</li>`,
    );
    return `${row}\n<tr class="calls"><td colspan="7" style="padding-inline-start:${(1.5 + Math.min(depth, 20) * 1.25).toFixed(2)}rem"><ul>${calls.join('')}</ul></td></tr>`;
  });
  const heads = ['Session', 'Agent', 'User', 'State', 'Checkpoint', 'Process', 'Bundle (SHA-256)'];
  return `<table><thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join('')}</tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

function grantsTable({ grants }: Receipt): string {
  return `<h2>${shown(count(grants.length, 'grant'))}</h2>
<table><thead><tr><th scope="col">Grant</th><th scope="col">Session</th><th scope="col">Broker</th><th scope="col">State</th><th scope="col">Since</th><th scope="col">May work</th></tr></thead><tbody>
${grants.map((one) => `<tr><th scope="row">${shown(one.id)}</th><td>${shown(one.session)}</td><td>${shown(one.broker)}</td><td>${shown(one.state)}${one.evidence === undefined ? '' : ` (${shown(one.evidence)})`}</td><td>${shown(moment(one.at))}</td><td>${shown(mayWork(one))}</td></tr>`).join('\n')}
</tbody></table>`;
}

/** Until when, at the most: a moment, since a page is read later than it is made. */
export function mayWork({ at, residualMs = 0 }: Receipt['grants'][number]): string {
  if (residualMs === 0) return 'no longer';
  const until = at + residualMs;
  return until >= endless ? 'until it is removed by hand' : `until ${moment(until)}`;
}

/** Text of strangers: without control and direction characters, escaped, and with a direction of its own. */
function shown(text: string): string {
  return `<bdi>${escaped(plain(text))}</bdi>`;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

const style = `
:root { color-scheme: light dark; --ink: #1a1d21; --dim: #5a6270; --paper: #fff; --line: #d5d9e0; --open: #a33a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ec; --dim: #a2a9b4; --paper: #15181c; --line: #3a4049; --open: #ffb38a; } }
@media print { :root { color-scheme: light; --ink: #000; --dim: #333; --paper: #fff; --line: #999; --open: #000; } tr, li { break-inside: avoid; } h2 { break-after: avoid; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: start; vertical-align: top; padding: .35rem .5rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; font-weight: inherit; }
thead th { color: var(--dim); }
.calls td { color: var(--dim); }
.calls ul { margin: 0; padding-inline-start: 1rem; }
code { font: .85em ui-monospace, monospace; }
.open, .unconfirmed td, .residue { color: var(--open); }
article + article { margin-top: 3rem; }
footer { margin-top: 2.5rem; color: var(--dim); font-size: .875rem; }
`;
