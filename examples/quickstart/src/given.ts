// given.ts: what a program was given that runs as two processes: the folder by the one that started it, nothing by a person.

import { isAbsolute } from 'node:path';

/** Ends the process where somebody typed anything else: a word taken for a folder would be a second process without a first. */
export function givenFolder(): string | undefined {
  const [, program, given] = process.argv;
  if (given === undefined || isAbsolute(given)) return given;
  const usage = `node ${program}     takes no options: starts its second process itself, and checks itself`;
  if (given === '--help') {
    console.log(usage);
    process.exit(0);
  }
  console.error(`${given} is no option\n\n${usage}`);
  process.exit(2);
}
