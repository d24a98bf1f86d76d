// packages.mjs: checks each package as its users will get it, from what `npm pack` would put in the archive.
//
// publint and attw say whether the exports and their types resolve; the list of files says whether the build and the
// README are in and the tests are out. Run after a build.

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const run = promisify(execFile);
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What must not be in an archive: tests, build state, secrets, machine state. */
const unwanted = [
  /(^|\/)(tests?|__tests__|fixtures|coverage)\//,
  /\.(test|spec|bench)(-d)?\.[mc]?[jt]sx?(\.map)?$/,
  /\.(tsbuildinfo|tgz|env|log)$/,
  /\.offswitch\//,
];

async function contents(folder, manifest) {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder, maxBuffer: 1 << 24 });
  const answer = JSON.parse(stdout);
  // npm 11 answers with a list, npm 12 with an object by name.
  const [packed] = Array.isArray(answer) ? answer : Object.values(answer);
  const files = packed.files.map((file) => file.path);
  const problems = files
    .filter((file) => unwanted.some((pattern) => pattern.test(file)))
    .map((file) => `the archive holds ${file}`);
  const entries = [...paths(manifest.exports), ...paths(manifest.bin)].map((path) => path.replace(/^\.\//, ''));
  for (const wanted of new Set(['README.md', 'LICENSE', 'package.json', ...entries])) {
    if (!files.includes(wanted)) problems.push(`the archive lacks ${wanted}`);
  }
  if (!files.some((file) => file.startsWith('dist/') && file.endsWith('.js')))
    problems.push('the archive lacks dist: build first (npm run build)');
  for (const field of ['description', 'license', 'engines']) {
    if (manifest[field] === undefined) problems.push(`package.json lacks "${field}"`);
  }
  return { problems, summary: `${files.length} files, ${Math.ceil(packed.size / 1024)} KB packed` };
}

/** Every path an `exports` or `bin` field leads to; patterns are publint's business. */
function paths(field) {
  if (typeof field === 'string') return field.includes('*') ? [] : [field];
  return field ? Object.values(field).flatMap(paths) : [];
}

async function lint(folder, manifest) {
  const { messages } = await publint({ pkgDir: folder, strict: true, pack: 'npm' });
  return messages.map((message) => `publint: ${formatMessage(message, manifest, { color: false })}`);
}

async function types(folder) {
  const attw = join(root, 'node_modules', '.bin', 'attw');
  try {
    await run(attw, ['--pack', folder, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji'], {
      maxBuffer: 1 << 24,
    });
    return [];
  } catch (error) {
    return [`attw: ${(error.stdout || error.stderr || error.message).trim()}`];
  }
}

let failed = 0;
const folders = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name));
for (const folder of folders.filter((one) => existsSync(join(one, 'package.json')))) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (manifest.private === true) continue;
  const { problems, summary } = await contents(folder, manifest);
  problems.push(...(await lint(folder, manifest)), ...(await types(folder)));
  console.log(`${problems.length === 0 ? 'ok    ' : 'FAILED'} ${manifest.name} ${manifest.version}: ${summary}`);
  for (const problem of problems) console.log(`       ${problem.replace(/\n/g, '\n       ')}`);
  if (problems.length > 0) failed++;
}
if (failed > 0) {
  console.log(`${failed} packages are not fit to be published.`);
  process.exit(1);
}
