export { LaunchDarklyError, type LaunchDarklyErrorCode } from './error.ts';
export type { LaunchDarklyOptions } from './options.ts';
export type { LaunchDarklySdk, LdClient, LdDetail } from './sdk.ts';
export { launchDarkly } from './source.ts';
