// figures.test.ts: the figures that promises on speed name. Nothing is measured here.

import { describe, expect, test } from 'vitest';
import type { Figure } from '../src/case.ts';
import { cases } from '../src/cases/index.ts';
import { ending, table } from '../src/report.ts';

const declared = Object.values(cases).flatMap((one) => one.figures);

describe('the benchmarks', () => {
  test('measure every figure of stopping a graph over many processes, under the name by which it is promised', () => {
    expect(declared.filter((name) => /^(graph|redis|budget|naive)\.|^path\.verify/.test(name)).toSorted()).toEqual([
      'budget.overspend',
      'budget.roundtrips',
      'graph.confirm.10.p50.ms',
      'graph.lastcall.10.p50.ms',
      'graph.lastcall.10.p99.ms',
      'naive.stop.100000.ms',
      'path.verify.us',
      'redis.latch.100000.ms',
      'redis.page.ms',
      'redis.register.pipe',
      'redis.register.seq',
      'redis.restart.ms',
      'redis.session.bytes',
    ]);
  });
  test('measure no figure twice', () => {
    expect(new Set(declared).size).toBe(declared.length);
  });
});

describe('a run of the benchmarks', () => {
  const leftOut = [{ name: 'graph', figures: ['graph.confirm.10.p50.ms'], why: 'no redis-server on the PATH' }];

  test('that left one out says which figures are missing and why', () => {
    const { lines, code } = ending([], leftOut, false);
    expect(lines).toEqual(['left out: graph: no redis-server on the PATH; not measured: graph.confirm.10.p50.ms']);
    expect(code).toBe(0);
  });
  test('that left one out fails where the figures go to a file, in which nobody sees that one is not there', () => {
    expect(ending([], leftOut, true).code).toBe(1);
    expect(ending([], [], true)).toEqual({ lines: [], code: 0 });
  });
  test('in which one broke fails', () => {
    expect(ending(['graph: ended with 1'], [], false)).toEqual({ lines: ['broken: graph: ended with 1'], code: 1 });
  });
});

describe('what is printed of a stop of 100,000 sessions', () => {
  const ours: Figure = { name: 'redis.latch.100000.ms', value: 0.5, unit: 'ms' };
  const naive: Figure = { name: 'naive.stop.100000.ms', value: 4000, unit: 'ms' };

  test('has the registry that marks each child beside it', () => {
    const line = /^redis\.latch\.100000\.ms .* 1\/8000 of naive\.stop\.100000\.ms \(4000\)$/m;
    expect(table([ours, naive])).toMatch(line);
    expect(table([ours], [ours, naive])).toMatch(line);
    expect(table([ours], [ours, naive])).not.toMatch(/^naive/m);
  });
});
