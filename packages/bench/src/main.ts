// main.ts: `npm run bench`: runs every benchmark in a process of its own, and prints what they measured.
//
// A figure over its target is a figure, no failure: benchmarks are no timed tests. A benchmark that broke, or did not answer
// what it promises, is one; so is one that this machine cannot run, where the figures go to a file.

import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Figure } from './case.ts';
import { cases } from './cases/index.ts';
import { ending, type LeftOut, machineLine, table } from './report.ts';

/** A benchmark that takes longer has broken. Milliseconds. */
const withinMs = 120_000;

const begins = new Set(
  Object.values(cases).flatMap(({ figures }) => figures.map((name) => name.slice(0, name.indexOf('.') + 1))),
);
const usage = `npm run bench -- [options]     measures on this machine what is promised of speed, and its peers beside it
  --only PREFIX   only figures whose name starts so: ${[...begins].join(' ')}
  --json FILE     writes [{ name, value, unit }] there too; then one that could not be measured is an error
  --folder DIR    on the disk to be measured (${tmpdir()})`;

const values = read();
if (values.case === undefined) process.exitCode = await runAll();
else await runOne(values.case, values.folder ?? tmpdir());

function read() {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'string' },
        only: { type: 'string' },
        folder: { type: 'string' },
        /** Runs one benchmark in this process and sends its figures to the one that started it. */
        case: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (!values.help) return values;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}

async function runOne(name: string, folder: string): Promise<void> {
  const figures = await cases[name]!.run({ folder });
  // Without closing what was measured: a hundred thousand sessions are not worth putting away one by one.
  process.send?.(figures, () => process.exit(0));
}

async function runAll(): Promise<number> {
  const folder = mkdtempSync(join(values.folder ?? tmpdir(), 'offswitch-bench-'));
  const measured: Figure[] = [];
  const broken: string[] = [];
  const leftOut: LeftOut[] = [];
  const isAsked = (figure: string): boolean => figure.startsWith(values.only ?? '');
  const chosen = Object.entries(cases).filter(([, one]) => one.figures.some(isAsked));
  if (chosen.length === 0) broken.push(`no figure's name starts with ${JSON.stringify(values.only)}`);
  try {
    for (const [name, one] of chosen) {
      const start = performance.now();
      process.stderr.write(`${name} ... `);
      const why = one.why?.();
      if (why !== undefined) {
        leftOut.push({ name, figures: one.figures.filter(isAsked), why });
        process.stderr.write('left out\n');
        continue;
      }
      try {
        const figures = await inProcess(name, folder);
        const missing = one.figures.filter((figure) => !figures.some((got) => got.name === figure && Number.isFinite(got.value)));
        if (missing.length > 0) throw new Error(`did not measure ${missing.join(', ')}`);
        measured.push(...figures);
        process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
      } catch (error) {
        broken.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        process.stderr.write('BROKEN\n');
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const asked = measured.filter(({ name }) => isAsked(name));
  console.log(`${machineLine()}, disk under ${values.folder ?? tmpdir()}\n\n${table(asked, measured)}`);
  if (values.json !== undefined) {
    const plain = asked.map(({ name, value, unit }) => ({ name, value, unit }));
    writeFileSync(values.json, `${JSON.stringify(plain, undefined, 2)}\n`);
  }
  const { lines, code } = ending(broken, leftOut, values.json !== undefined);
  for (const line of lines) console.error(line);
  return code;
}

/** Runs one benchmark in a fresh process, so that none measures another's heap. */
function inProcess(name: string, folder: string): Promise<readonly Figure[]> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ['--case', name, '--folder', folder], {
      execArgv: ['--expose-gc', '--max-old-space-size=4096'],
    });
    let figures: readonly Figure[] | undefined;
    const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
    child.on('message', (message) => {
      figures = message as readonly Figure[];
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (figures && code === 0) resolve(figures);
      else reject(new Error(`ended with ${signal ?? code}${figures ? '' : ' and no figures'}`));
    });
  });
}
