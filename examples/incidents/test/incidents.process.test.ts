// incidents.process.test.ts: that there is a program for each incident, and that each says where it happened. CI runs them (main.ts).

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { incidents } from '../src/list.ts';

const src = new URL('../src/', import.meta.url);
const programs = readdirSync(src)
  .map((name) => name.replace(/\.ts$/, ''))
  .filter((name) => !['check', 'list', 'main'].includes(name));

describe('the incidents', () => {
  test('are twelve programs, and each is run', () => {
    expect([...incidents].sort()).toEqual(programs.sort());
    expect(incidents.length).toBe(12);
  });

  test.each(programs)('%s says in its first line where it happened, then what happened there and what holds here', (name) => {
    const [first = '', blank, there = '', here = ''] = readFileSync(new URL(`${name}.ts`, src), 'utf8').split('\n');
    expect(first).toMatch(new RegExp(`^// ${name}\\.ts:( https://github\\.com/[\\w./-]+/(issues|pull)/\\d+)+$`));
    expect([blank, there.slice(0, 10), here.slice(0, 9)]).toEqual(['//', '// There: ', '// Here: ']);
  });

  test('are refused by a name that is none of theirs', () => {
    const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [main, 'respawn-races'], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([2, expect.stringContaining('no such incident: respawn-races')]);
  });
});
