export { GrowthBookError, type GrowthBookErrorCode } from '../error.ts';
export { growthBookControl } from './control.ts';
export type { GrowthBookControlOptions } from './options.ts';
