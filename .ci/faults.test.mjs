// faults.test.mjs: the tables of the faults say what a report says, and a source that failed cannot look well.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { between, resultsOf, table } from './faults.mjs';

const held = { outcome: 'held', problems: [], reads: 'engaged (cached)', health: 'stale' };
const report = (...metas) => ({
  testResults: [{ assertionResults: metas.map((offswitchFault) => ({ meta: { offswitchFault } })) }, { assertionResults: [{}] }],
});
const kinds = { drop: 'it ends', reset: 'it is reset' };

describe('the table of faults', () => {
  test('has a row for each fault and a column for each source, in the order of the docs', () => {
    const results = resultsOf(
      report({ ...held, fault: 'drop', source: 'Unleash' }, { ...held, fault: 'drop', source: 'LaunchDarkly, SDK 9' }),
      false,
    );
    const lines = table(results, kinds).split('\n');
    assert.equal(lines[0], '| fault | what happens | LaunchDarkly, SDK 9 | Unleash |');
    assert.equal(lines[2], '| `drop` | it ends | engaged (cached), stale | engaged (cached), stale |');
    assert.equal(lines[3], '| `reset` | it is reset | not run | not run |');
  });

  test('says FAILED and how for a source that did not hold', () => {
    const results = resultsOf(
      report({ ...held, fault: 'drop', source: 'x', outcome: 'failed', problems: [{ code: 'lifted' }] }),
      false,
    );
    assert.match(table(results, kinds), /FAILED: lifted/);
  });

  test('gives the reason where a fault cannot be, once', () => {
    const cannot = { outcome: 'cannot', why: 'there is no connection', problems: [], source: 'x' };
    const text = table(resultsOf(report({ ...cannot, fault: 'drop' }, { ...cannot, fault: 'reset' }), false), kinds);
    assert.equal(text.split('there is no connection').length, 2);
    assert.match(text, /none \[1\] \|/);
  });

  test('keeps what was measured apart from what was promised', () => {
    const measured = {
      fault: 'drop',
      source: 'SDK',
      isMeasured: true,
      outcome: 'failed',
      problems: [{ code: 'lifted' }, { code: 'never-stale' }],
    };
    assert.equal(resultsOf(report(measured), false).size, 0);
    assert.match(table(resultsOf(report(measured), true), kinds), /\*\*stop lifted\*\*, nothing is said/);
  });

  test('leaves out the sources that the contract itself is tested with', () => {
    const file = {
      name: '/x/packages/testing/test/a.test.ts',
      ...report({ ...held, fault: 'drop', source: 'small' }).testResults[0],
    };
    assert.equal(resultsOf({ testResults: [file] }, false).size, 0);
  });

  test('goes where the page has a place for it, and nowhere else', () => {
    assert.equal(between('a <!-- x:begin --> old <!-- x:end --> b', 'x', 'new'), 'a <!-- x:begin -->\n\nnew\n\n<!-- x:end --> b');
    assert.throws(() => between('no place', 'x', 'new'));
  });
});
