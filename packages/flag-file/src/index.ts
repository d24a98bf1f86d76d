export { type FlagFileControl, type FlagFileControlOptions, type Flipping, flagFileControl } from './control.ts';
export { FlagFileError, type FlagFileErrorCode } from './error.ts';
export { type LintCode, type LintFinding, showFinding } from './finding.ts';
export { lintFlagFile } from './lint.ts';
export type { FlagFileOptions, FlagFileSource } from './options.ts';
export { flagFile } from './source.ts';
