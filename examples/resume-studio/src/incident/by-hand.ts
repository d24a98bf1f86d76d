// by-hand.ts: a slip of the hand in each vendor's dashboard: the whole instance flag on, for everybody (S11). The dashboards send these
// requests; no control of ours would.

import type { VendorName } from 'offswitch';

const key = 'killswitch.instance';
type Env = Readonly<Record<string, string>>;

export async function turnInstanceOn(vendor: VendorName, env: Env, isOn: boolean): Promise<void> {
  switch (vendor) {
    case 'launchdarkly':
      return inLaunchDarkly(env, isOn);
    case 'growthbook':
      await ask('POST', `${env.GROWTHBOOK_API_HOST}/api/v2/features/${key}`, `Bearer ${env.GROWTHBOOK_API_KEY}`, {
        defaultValue: String(isOn),
      });
      return;
    case 'unleash':
      return inUnleash(env, isOn);
  }
}

/** What everybody gets who is not targeted: the other variation. */
async function inLaunchDarkly(env: Env, isOn: boolean): Promise<void> {
  const url = `${env.LAUNCHDARKLY_API_URL}/api/v2/flags/${env.LAUNCHDARKLY_PROJECT}/${key}`;
  const token = env.LAUNCHDARKLY_ACCESS_TOKEN ?? '';
  const { variations } = (await ask('GET', url, token)) as { variations: { _id: string; value: boolean }[] };
  const variationId = variations.find(({ value }) => value === isOn)?._id;
  const instructions = [{ kind: 'updateFallthroughVariationOrRollout', variationId }];
  const type = 'application/json; domain-model=launchdarkly.semanticpatch';
  await ask('PATCH', url, token, { environmentKey: env.LAUNCHDARKLY_ENVIRONMENT, instructions }, type);
}

/** A strategy without a constraint. */
async function inUnleash(env: Env, isOn: boolean): Promise<void> {
  const server = (env.UNLEASH_URL ?? '').replace(/\/api$/, '');
  const feature = `${server}/api/admin/projects/${env.UNLEASH_PROJECT}/features/${key}/environments/${env.UNLEASH_ENVIRONMENT}`;
  const token = env.UNLEASH_ADMIN_TOKEN ?? '';
  if (isOn) {
    await ask('POST', `${feature}/strategies`, token, {
      name: 'default',
      title: 'a slip of the hand',
      constraints: [],
      parameters: {},
    });
    return;
  }
  const strategies = (await ask('GET', `${feature}/strategies`, token)) as { id: string; title?: string }[];
  for (const { id, title } of strategies)
    if (title === 'a slip of the hand') await ask('DELETE', `${feature}/strategies/${id}`, token);
}

async function ask(
  method: string,
  url: string,
  authorization: string,
  body?: object,
  type = 'application/json',
): Promise<unknown> {
  const response = await fetch(url, {
    method,
    headers: { authorization, ...(body ? { 'content-type': type } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.timeout(5_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${text.slice(0, 300)}`);
  return text === '' ? undefined : JSON.parse(text);
}
