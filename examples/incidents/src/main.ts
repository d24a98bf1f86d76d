// main.ts: runs the twelve incidents, each in a process of its own, and says of each whether it would happen here.
// Exits non-zero when one would.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { incidents } from './list.ts';

/** How many run at once. */
const atOnce = 2;
/** A program ends itself before this. Milliseconds. */
const withinMs = 60_000;

const usage = `node examples/incidents/dist/main.js [name ...]     all of them, or those: ${incidents.join(', ')}`;
const asked = process.argv.slice(2);
if (asked.includes('--help')) {
  console.log(usage);
  process.exit(0);
}
const unknown = asked.filter((name) => !incidents.includes(name));
if (unknown.length > 0) {
  console.error(`no such incident: ${unknown.join(', ')}\n\n${usage}`);
  process.exit(2);
}

interface Verdict {
  readonly name: string;
  readonly isHeld: boolean;
  readonly printed: string;
  readonly tookMs: number;
}

function run(name: string): Promise<Verdict> {
  const began = Date.now();
  const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: withinMs,
    killSignal: 'SIGKILL',
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      printed += part;
    });
  return new Promise((resolve) => {
    const end = (isHeld: boolean): void => resolve({ name, isHeld, printed, tookMs: Date.now() - began });
    child.once('error', (error) => {
      printed += `${error.message}\n`;
      end(false);
    });
    child.once('close', (code) => end(code === 0));
  });
}

const waiting = [...(asked.length > 0 ? asked : incidents)];
const verdicts: Verdict[] = [];
async function runNext(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const verdict = await run(name);
    verdicts.push(verdict);
    const counted = verdict.printed.trimEnd().split('\n').at(-1);
    console.log(`${verdict.isHeld ? 'ok' : 'not ok'} - ${name}: ${counted} (${(verdict.tookMs / 1_000).toFixed(1)} s)`);
    if (!verdict.isHeld) console.log(verdict.printed.trimEnd().replaceAll(/^/gm, '    '));
  }
}
const began = Date.now();
await Promise.all(Array.from({ length: atOnce }, runNext));
const held = verdicts.filter(({ isHeld }) => isHeld).length;
console.log(`${held} of ${verdicts.length} incidents do not happen here (${((Date.now() - began) / 1_000).toFixed(0)} s)`);
process.exitCode = held === verdicts.length ? 0 : 1;
