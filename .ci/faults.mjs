// faults.mjs: the tables of docs/vendors/faults.md come from test runs and from nowhere else.
//
//   node .ci/faults.mjs --check          runs the contract of faults over every source and compares; exits 1 and says what differs
//   node .ci/faults.mjs --write          the same, and writes what differs
//   node .ci/faults.mjs --measure        runs the vendors' SDKs alone through the same faults (minutes) and writes
//                                        docs/vendors/bare-sdk-faults.json, from which the second table is rendered
//   ... --from report.json               takes a JSON report of vitest in place of a run
//
// A test says what came of a fault in its meta, `offswitchFault` (packages/testing/src/fault-result.ts).

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const page = join(root, 'docs/vendors/faults.md');
const measured = join(root, 'docs/vendors/bare-sdk-faults.json');

/** In the order in which they are shown, by how their names begin; others follow. */
const order = ['flag file', 'launchdarkly', 'growthbook', 'unleash'];
const words = {
  lifted: '**stop lifted**',
  'stopped-others': '**others stopped**',
  crashed: '**process ends**',
  malformed: 'read throws',
  'live-while-stale': 'old data called live',
  'never-stale': 'nothing is said',
  'fresh-and-wrong': 'nothing is said',
  'not-recovered': 'not back after 10 s',
  'lost-change': 'change not seen 10 s after',
  'not-released': 'release not seen 10 s after',
};

/** Results out of a JSON report of vitest: source -> fault -> result. */
export function resultsOf(report, isMeasured) {
  const bySource = new Map();
  for (const file of report.testResults) {
    // The sources in the tests of the contract itself are nobody's.
    if (/[\\/]packages[\\/]testing[\\/]/.test(file.name ?? '')) continue;
    for (const { meta } of file.assertionResults) {
      const result = meta?.offswitchFault;
      if (!result || (result.isMeasured === true) !== isMeasured) continue;
      const one = bySource.get(result.source) ?? new Map();
      one.set(result.fault, result);
      bySource.set(result.source, one);
    }
  }
  return bySource;
}

const placeOf = (source) => {
  const at = order.findIndex((name) => source.toLowerCase().startsWith(name));
  return at === -1 ? order.length : at;
};
const bySourceOrder = (a, b) => placeOf(a) - placeOf(b) || a.localeCompare(b);

/** Which of the listed problems show depends on when the SDK tries again; what counts is what is read. */
const unfixable = (result) => {
  const worst = ['crashed', 'lifted'].filter((code) => result.problems.some((one) => one.code === code));
  return [...worst.map((code) => (code === 'lifted' ? '**reads released**' : words[code])), 'nothing is said'].join(', ');
};

/** One table: a row for each fault, a column for each source, and below it why a fault cannot be. `kinds`: fault -> words. */
export function table(bySource, kinds) {
  const sources = [...bySource.keys()].sort(bySourceOrder);
  const notes = [];
  const noteOf = (source, why) => {
    const text = `${source}: ${why}`;
    if (!notes.includes(text)) notes.push(text);
    return `none [${notes.indexOf(text) + 1}]`;
  };
  const cell = (source, result) => {
    if (!result) return 'not run';
    if (result.outcome === 'cannot') return noteOf(source, result.why);
    if (result.isMeasured) {
      if (result.problems.length === 0) return 'right';
      return [...new Set(result.problems.map(({ code }) => words[code] ?? code))].join(', ');
    }
    if (result.isUnfixable) return unfixable(result);
    if (result.problems.length > 0) return `FAILED: ${result.problems.map(({ code }) => code).join(', ')}`;
    return `${result.reads}, ${result.health}`;
  };
  const rows = Object.entries(kinds).map(([fault, what]) =>
    [`\`${fault}\``, what, ...sources.map((source) => cell(source, bySource.get(source).get(fault)))].join(' | '),
  );
  return [
    `| ${['fault', 'what happens', ...sources].join(' | ')} |`,
    `|${'---|'.repeat(sources.length + 2)}`,
    ...rows.map((row) => `| ${row} |`),
    ...(notes.length > 0 ? ['', ...notes.map((text, at) => `[${at + 1}] ${text}.`)] : []),
  ].join('\n');
}

/** The text between `<!-- NAME:begin -->` and `<!-- NAME:end -->` replaced. Throws where there is no such place. */
export function between(text, name, content) {
  const begin = `<!-- ${name}:begin -->`;
  const end = `<!-- ${name}:end -->`;
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`${relative(root, page)} has no ${begin} ... ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}

/** The faults in their order, with the words for people, as the testing package has them. */
function kindsOf() {
  const source = readFileSync(join(root, 'packages/testing/src/fault.ts'), 'utf8');
  const list = /export const faults = \[([^\]]*)\]/.exec(source)?.[1] ?? '';
  const names = [...list.matchAll(/'([\w-]+)'/g)].map(([, name]) => name);
  return Object.fromEntries(
    names.map((name) => [name, new RegExp(`^  '?${name}'?: (?:cut|kept)\\('([^']*)'`, 'm').exec(source)?.[1] ?? name]),
  );
}

function testFiles(mention) {
  return readdirSync(join(root, 'packages'))
    .filter((name) => name !== 'testing')
    .flatMap((name) => {
      try {
        return readdirSync(join(root, 'packages', name, 'test'), { recursive: true }).map((file) =>
          join('packages', name, 'test', file),
        );
      } catch {
        return [];
      }
    })
    .filter((file) => file.endsWith('.test.ts') && readFileSync(join(root, file), 'utf8').includes(`${mention}(`));
}

function run(files, pattern, env) {
  const folder = mkdtempSync(join(tmpdir(), 'offswitch-faults-'));
  const out = join(folder, 'report.json');
  try {
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const args = [vitest, 'run', ...files, '-t', pattern, '--reporter=json', `--outputFile=${out}`];
    const { status } = spawnSync(process.execPath, args, { cwd: root, env: { ...process.env, ...env }, stdio: 'ignore' });
    const report = JSON.parse(readFileSync(out, 'utf8'));
    for (const { assertionResults } of report.testResults) {
      for (const { status: verdict, fullName, failureMessages } of assertionResults)
        if (verdict === 'failed') console.error(`failed: ${fullName}\n  ${failureMessages.join('\n').slice(0, 600)}`);
    }
    return { report, isGreen: status === 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function main(args) {
  const from = args.includes('--from') ? args[args.indexOf('--from') + 1] : undefined;
  const take = (mention, pattern, env) =>
    from ? { report: JSON.parse(readFileSync(from, 'utf8')), isGreen: true } : run(testFiles(mention), pattern, env);
  const kinds = kindsOf();
  if (args.includes('--measure')) {
    const { report } = take('measureSourceFaults', 'measured in trouble', {
      OFFSWITCH_MEASURE: '1',
      // GrowthBook's SDK streams only where there is an EventSource, and Node 20 has one behind this switch.
      NODE_OPTIONS: '--experimental-eventsource',
    });
    const plain = [...resultsOf(report, true)].map(([source, byFault]) => [
      source,
      Object.fromEntries(
        [...byFault].map(([fault, { problems, outcome, why }]) => [
          fault,
          { outcome, why, problems: problems.map(({ code }) => code) },
        ]),
      ),
    ]);
    const before = JSON.parse(readFileSync(measured, 'utf8'));
    for (const [source, byFault] of plain) before[source] = { ...before[source], ...byFault };
    writeFileSync(measured, `${JSON.stringify(before, undefined, 2)}\n`);
  }
  const { report, isGreen } = args.includes('--measure')
    ? { report: undefined, isGreen: true }
    : take('describeSourceFaults', 'in trouble', {});
  const text = readFileSync(page, 'utf8');
  let next = text;
  if (report) {
    const all = [...resultsOf(report, false)];
    const isThrough = ([source]) => source.startsWith('fromOpenFeature');
    next = between(next, 'faults', table(new Map(all.filter((one) => !isThrough(one))), kinds));
    next = between(next, 'providers', table(new Map(all.filter(isThrough)), kinds));
  }
  const bare = new Map(
    Object.entries(JSON.parse(readFileSync(measured, 'utf8'))).map(([source, byFault]) => [
      source,
      new Map(
        Object.entries(byFault).map(([fault, { outcome, why, problems }]) => [
          fault,
          { fault, outcome, why, isMeasured: true, problems: problems.map((code) => ({ code })) },
        ]),
      ),
    ]),
  );
  next = between(next, 'bare', table(bare, kinds));
  if (!args.includes('--check')) writeFileSync(page, next);
  else if (next !== text) {
    const was = new Set(text.split('\n'));
    console.error(`${relative(root, page)} differs from what the tests found; node .ci/faults.mjs --write mends it:`);
    for (const line of next.split('\n')) if (!was.has(line)) console.error(`  ${line}`);
    return 1;
  }
  return isGreen ? 0 : 1;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  process.exit(main(process.argv.slice(2)));
