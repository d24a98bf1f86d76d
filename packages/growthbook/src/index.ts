export { GrowthBookError, type GrowthBookErrorCode } from './error.ts';
export type { GrowthBookOptions, GrowthBookSource } from './options.ts';
export { growthBook } from './source.ts';
