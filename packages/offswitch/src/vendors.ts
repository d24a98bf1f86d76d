// vendors.ts: what the environment says of each vendor: one set of names for the command, the examples and your own program.
//
// Names and not values: a token is read where it is used, and is written nowhere.

export type VendorName = 'launchdarkly' | 'growthbook' | 'unleash';

export interface VendorVariable {
  readonly name: string;
  /** The option of the source's or the control's factory that it becomes. */
  readonly option: string;
  /** What it is, and where a person finds it. */
  readonly what: string;
  /** Taken where it is not set. Absent with `isOptional` false: it must be set. */
  readonly fallback?: string;
  /** May be left out, and then the factory's own default counts. */
  readonly isOptional?: true;
  /** What the option takes, where that is not the value as people write it. */
  readonly adapt?: (value: string) => string;
}

export interface Vendor {
  /** As the source calls itself (`SwitchSource.name`). */
  readonly name: VendorName;
  /** As people call it. */
  readonly title: string;
  /** The package of its source; the control is on its subpath `./control`. */
  readonly package: string;
  /** The names under which the two factories are exported. */
  readonly sourceFactory: string;
  readonly controlFactory: string;
  /** What reading takes: the agents' side. */
  readonly source: readonly VendorVariable[];
  /** What flipping takes: the people's side. Agents need none of it. */
  readonly control: readonly VendorVariable[];
}

/** Client documentation says `.../api/`, and the admin API lives beside it. */
function withoutApi(url: string): string {
  return url.replace(/\/+$/, '').replace(/\/api$/, '');
}

/** The vendors whose switches the `offswitch` command flips, and the environment variables of each. */
export const vendors: Readonly<Record<VendorName, Vendor>> = {
  launchdarkly: {
    name: 'launchdarkly',
    title: 'LaunchDarkly',
    package: '@offswitch/launchdarkly',
    sourceFactory: 'launchDarkly',
    controlFactory: 'launchDarklyControl',
    source: [
      { name: 'LAUNCHDARKLY_SDK_KEY', option: 'sdkKey', what: 'SDK key of the environment' },
      {
        name: 'LAUNCHDARKLY_STREAM_URL',
        option: 'streamUri',
        what: 'where flags are streamed from, with a relay',
        isOptional: true,
      },
      { name: 'LAUNCHDARKLY_BASE_URL', option: 'baseUri', what: 'where flags are polled from, with a relay', isOptional: true },
      { name: 'LAUNCHDARKLY_EVENTS_URL', option: 'eventsUri', what: 'where events go, with a relay', isOptional: true },
    ],
    control: [
      { name: 'LAUNCHDARKLY_ACCESS_TOKEN', option: 'token', what: 'personal or service API access token, role Writer' },
      { name: 'LAUNCHDARKLY_PROJECT', option: 'project', what: 'project key', fallback: 'default' },
      { name: 'LAUNCHDARKLY_ENVIRONMENT', option: 'environment', what: 'environment key', fallback: 'production' },
      { name: 'LAUNCHDARKLY_API_URL', option: 'baseUrl', what: 'host of the REST API', isOptional: true },
    ],
  },
  growthbook: {
    name: 'growthbook',
    title: 'GrowthBook',
    package: '@offswitch/growthbook',
    sourceFactory: 'growthBook',
    controlFactory: 'growthBookControl',
    source: [
      { name: 'GROWTHBOOK_CLIENT_KEY', option: 'clientKey', what: 'client key of the SDK connection' },
      {
        name: 'GROWTHBOOK_SDK_HOST',
        option: 'apiHost',
        what: 'where features are read from; self-hosted, your own host',
        fallback: 'https://cdn.growthbook.io',
      },
      {
        name: 'GROWTHBOOK_DECRYPTION_KEY',
        option: 'decryptionKey',
        what: 'of a connection with encrypted payloads',
        isOptional: true,
      },
    ],
    control: [
      { name: 'GROWTHBOOK_API_KEY', option: 'token', what: 'secret key or personal access token, role engineer' },
      {
        name: 'GROWTHBOOK_API_HOST',
        option: 'baseUrl',
        what: 'host of the REST API; self-hosted, your own',
        fallback: 'https://api.growthbook.io',
      },
      { name: 'GROWTHBOOK_ENVIRONMENT', option: 'environment', what: 'environment', fallback: 'production' },
      {
        name: 'GROWTHBOOK_CLIENT_KEY',
        option: 'clientKey',
        what: 'as above: a flip is then read back from the SDK endpoint too',
        isOptional: true,
      },
      {
        name: 'GROWTHBOOK_SDK_HOST',
        option: 'apiHost',
        what: 'as above; left out, the API host, past any CDN',
        isOptional: true,
      },
      { name: 'GROWTHBOOK_DECRYPTION_KEY', option: 'decryptionKey', what: 'as above', isOptional: true },
      { name: 'GROWTHBOOK_PROJECT', option: 'project', what: 'project id, where features live in one', isOptional: true },
    ],
  },
  unleash: {
    name: 'unleash',
    title: 'Unleash',
    package: '@offswitch/unleash',
    sourceFactory: 'unleash',
    controlFactory: 'unleashControl',
    source: [
      {
        name: 'UNLEASH_URL',
        option: 'url',
        what: 'the server, https://unleash.example.com',
        adapt: (url) => `${withoutApi(url)}/api`,
      },
      { name: 'UNLEASH_CLIENT_TOKEN', option: 'token', what: 'backend (client) token of the environment' },
    ],
    control: [
      { name: 'UNLEASH_URL', option: 'url', what: 'the server, https://unleash.example.com', adapt: withoutApi },
      { name: 'UNLEASH_ADMIN_TOKEN', option: 'token', what: 'personal access token or service account token' },
      { name: 'UNLEASH_PROJECT', option: 'project', what: 'project id', fallback: 'default' },
      { name: 'UNLEASH_ENVIRONMENT', option: 'environment', what: 'environment', fallback: 'production' },
    ],
  },
};

export function isVendor(name: string): name is VendorName {
  return Object.hasOwn(vendors, name);
}

/** The options that an environment gives a factory, and the names of the variables that it lacks. Empty counts as not set. */
export function fromEnvironment(
  variables: readonly VendorVariable[],
  env: Readonly<Record<string, string | undefined>>,
): { readonly options: Readonly<Record<string, string>>; readonly missing: readonly VendorVariable[] } {
  const options: Record<string, string> = {};
  const missing: VendorVariable[] = [];
  for (const one of variables) {
    const value = env[one.name]?.trim() || one.fallback;
    if (value !== undefined) options[one.option] = one.adapt ? one.adapt(value) : value;
    else if (!one.isOptional) missing.push(one);
  }
  return { options, missing };
}
