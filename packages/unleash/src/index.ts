export { UnleashSwitchError, type UnleashSwitchErrorCode } from './error.ts';
export type { UnleashClientOptions, UnleashCommonOptions, UnleashOptions, UnleashSource } from './options.ts';
export { unleash } from './source.ts';
