// exports.test.ts: the names core exports, typed in. A name that goes breaks users; a name that comes is kept for years.

import { readFileSync } from 'node:fs';
import * as core from '@offswitch/core';
import { expect, test } from 'vitest';

/** The names in the braces of each export statement of the entry. Types leave no trace at run time, so the text is read. */
function exported(kind: 'type' | 'value'): string[] {
  const text = readFileSync(new URL('../src/index.ts', import.meta.url), 'utf8');
  const statements = [...text.matchAll(/export (type )?\{([^}]*)\} from/g)];
  const names = statements.flatMap(([, allTypes, inside]) =>
    inside!.split(',').flatMap((one) => {
      const name = one.trim();
      if (name === '') return [];
      const isType = allTypes !== undefined || name.startsWith('type ');
      return isType === (kind === 'type') ? [name.replace(/^type /, '')] : [];
    }),
  );
  return names.sort();
}

const values = [
  'OffswitchError',
  'actionOf',
  'applyReading',
  'checkId',
  'checkReading',
  'compareActions',
  'defineKillSwitches',
  'effectOf',
  'isEngaged',
  'join',
  'maxIdBytes',
  'noticeOf',
  'releaseByAct',
  'run',
  'strongest',
  'subjectFor',
  'subjectId',
  'tiers',
  'unknown',
  'unknownWorkflow',
  'unmarked',
];

test('core exports exactly these values', () => {
  expect(Object.keys(core).sort()).toEqual(values);
  expect(exported('value')).toEqual(values);
});

test('core exports exactly these types', () => {
  expect(exported('type')).toEqual(
    [
      'Action',
      'Breaker',
      'Decision',
      'EngagedWhen',
      'Finding',
      'Flip',
      'FlagType',
      'HistoryQuery',
      'Inspection',
      'KillSwitchSpec',
      'KillSwitches',
      'Marks',
      'OffswitchErrorCode',
      'Order',
      'Origin',
      'Plan',
      'PlanStep',
      'Position',
      'Reading',
      'Resolution',
      'SourceChange',
      'SourceHealth',
      'Stop',
      'StopAction',
      'StopCause',
      'Stopped',
      'Subject',
      'SwitchControl',
      'SwitchFlag',
      'SwitchSource',
      'SwitchSpec',
      'Tier',
      'UnknownCause',
      'WhenUnknown',
      'WorkflowOf',
      'WorkflowSpec',
    ].sort(),
  );
});

test('the entry only names what others define, and hides nothing behind a star', () => {
  const text = readFileSync(new URL('../src/index.ts', import.meta.url), 'utf8');
  expect(text).not.toMatch(/export \*/);
  expect(text.replace(/export (type )?\{[^}]*\} from '[^']*';/g, '').trim()).toBe('');
});
