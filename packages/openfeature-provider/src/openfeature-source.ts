// openfeature-source.ts: a provider bound to a domain of its own, as a switch source.
//
// On a domain of its own nobody else's `setProvider` swaps the vendor under the switches.

import type { SwitchSource } from '@offswitch/core';
import { OpenFeature, type Provider } from '@openfeature/server-sdk';
import { type FromOpenFeatureOptions, fromOpenFeature } from './from-openfeature.ts';

export interface OpenFeatureSourceOptions extends FromOpenFeatureOptions {
  readonly provider: Provider;
  /** The domain the provider is bound to, for the switches alone. Default `offswitch`. */
  readonly domain?: string;
}

/**
 * Binds the provider now and gives the source over it. Throws what the SDK throws for a provider it does not take (one for
 * browsers, one already bound to another domain). Initialisation that fails or takes long is no error here: the source's
 * health says so. Closing the source leaves the provider bound; `OpenFeature.close()` or another `setProvider` ends it.
 */
export function openFeatureSource({ provider, domain = 'offswitch', ...options }: OpenFeatureSourceOptions): SwitchSource {
  OpenFeature.setProvider(domain, provider);
  return fromOpenFeature(OpenFeature.getClient(domain), options);
}
