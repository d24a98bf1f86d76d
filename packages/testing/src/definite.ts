// definite.ts: a reading as the contract of a source asks for it.

import { checkReading, type Reading, type Subject, type SwitchFlag, type SwitchSource } from '@offswitch/core';
import { expect } from 'vitest';

/** One reading, of the shape that every source must answer with. */
export const read = async (source: SwitchSource, flag: SwitchFlag, subject: Subject): Promise<Reading> => {
  const reading = await source.read(flag, subject);
  expect(checkReading(reading)).toEqual(reading);
  return reading;
};

/** The same where not knowing would be a fault. */
export const definite = async (
  source: SwitchSource,
  flag: SwitchFlag,
  subject: Subject,
): Promise<Exclude<Reading, { state: 'unknown' }>> => {
  const reading = await read(source, flag, subject);
  if (reading.state === 'unknown') throw new Error(`expected a definite reading of ${flag.key}, got ${JSON.stringify(reading)}`);
  return reading;
};
