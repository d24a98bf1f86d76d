export type { ProviderClock } from './clock.ts';
export { subjectOfContext } from './context-subject.ts';
export { type FromOpenFeatureOptions, fromOpenFeature } from './from-openfeature.ts';
export { type OpenFeatureSourceOptions, openFeatureSource } from './openfeature-source.ts';
export { KillSwitchProvider, type KillSwitchProviderOptions } from './provider.ts';
