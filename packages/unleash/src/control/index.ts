export { UnleashSwitchError, type UnleashSwitchErrorCode } from '../error.ts';
export { type UnleashControl, unleashControl } from './control.ts';
export type { UnleashControlOptions } from './options.ts';
