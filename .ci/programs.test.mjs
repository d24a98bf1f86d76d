// programs.test.mjs: what every program here promises to whoever types --help, or a word that it does not know. Needs a build.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Each with the words that its help must have. */
const programs = [
  ['packages/offswitch/bin/offswitch.js', ['--state']],
  ['packages/bench/dist/main.js', ['--only', '--json', '--folder', 'redis.']],
  ['packages/nemesis/dist/main.js', ['--seed']],
  ['examples/resume-studio/dist/main.js', ['--fresh']],
  ['examples/incidents/dist/main.js', ['respawn-race']],
  ['examples/swap-vendors/dist/main.js', ['growthbook']],
  ['examples/quickstart/dist/over-http.js', ['no options']],
  ['examples/quickstart/dist/over-mcp.js', ['no options']],
  ['examples/quickstart/dist/two-loops.js', ['no options']],
];
/** Longer, and it has begun to do what it is for. Milliseconds. */
const withinMs = 20_000;

describe('a program', () => {
  for (const [program, words] of programs) {
    const run = (...args) => spawnSync(process.execPath, [program, ...args], { cwd: root, encoding: 'utf8', timeout: withinMs });
    test(`${program} answers --help with what it takes, and does nothing else`, () => {
      const { status, stdout, stderr } = run('--help');
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout, /^(npm|node|Usage:) /);
      for (const word of words) assert.ok(stdout.includes(word), `${word} in: ${stdout}`);
    });
    test(`${program} refuses an option that it does not know, names it, and says what it takes instead of where it threw`, () => {
      const { status, stdout, stderr } = run('--onyl');
      assert.ok(status === 1 || status === 2, `ends with ${status}`);
      assert.equal(stdout, '');
      assert.match(stderr, /--onyl/);
      assert.doesNotMatch(stderr, /^ {4}at /m);
    });
  }
});
