export { LaunchDarklyError, type LaunchDarklyErrorCode } from '../error.ts';
export { type LaunchDarklyControlOptions, launchDarklyControl } from './control.ts';
