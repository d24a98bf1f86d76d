// payload.ts: a payload as it came over the wire, decrypted and checked, or why it does not count.
//
// Decryption is synchronous, so that two payloads are applied in the order in which they came; the vendor's SDK awaits WebCrypto
// and can apply them the other way round. A payload that is not whole is refused whole.

import { createDecipheriv } from 'node:crypto';
import type { FeatureDefinition, GrowthBookPayload } from '@growthbook/growthbook';

export type Features = Readonly<Record<string, FeatureDefinition>>;

export interface Payload {
  /** `dateUpdated` as epoch milliseconds: the position of everything in it (S3). */
  readonly n: number;
  readonly features: Features;
  /** For the SDK's own `initSync`: never encrypted. */
  readonly forSdk: GrowthBookPayload;
}

export type Parsed = { readonly ok: true; readonly payload: Payload } | { readonly ok: false; readonly why: string };

const no = (why: string): Parsed => ({ ok: false, why });

export function parsePayload(text: string, decryptionKey: string | undefined): Parsed {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return no('the payload is cut off or no JSON');
  }
  if (!isObject(raw)) return no('the payload is no JSON object');
  const n = typeof raw.dateUpdated === 'string' ? Date.parse(raw.dateUpdated) : Number.NaN;
  if (!(Number.isSafeInteger(n) && n >= 0)) return no('the payload has no dateUpdated, so nobody can tell how old it is');
  const plain: Record<string, unknown> = { ...raw };
  for (const [encrypted, field] of encryptedFields) {
    const cipher = raw[encrypted];
    delete plain[encrypted];
    if (typeof cipher !== 'string' || cipher === '') continue;
    if (decryptionKey === undefined) return no('the payload is encrypted; give `decryptionKey`, from the SDK connection');
    try {
      plain[field] = JSON.parse(decrypt(cipher, decryptionKey));
    } catch {
      return no(
        `${encrypted} cannot be decrypted; the decryptionKey is not that of this SDK connection, or the payload is damaged`,
      );
    }
  }
  const { features } = plain;
  if (!isObject(features)) return no('the payload has no features');
  for (const [key, feature] of Object.entries(features))
    if (!isObject(feature)) return no(`the feature ${JSON.stringify(key)} is no object`);
  if (plain.savedGroups !== undefined && !isObject(plain.savedGroups)) return no('savedGroups is no object');
  if (plain.experiments !== undefined && !Array.isArray(plain.experiments)) return no('experiments is no list');
  return { ok: true, payload: { n, features: features as Features, forSdk: plain as GrowthBookPayload } };
}

const encryptedFields = [
  ['encryptedFeatures', 'features'],
  ['encryptedSavedGroups', 'savedGroups'],
  ['encryptedExperiments', 'experiments'],
] as const;

/** `<iv>.<ciphertext>`, both base64, AES-CBC: what GrowthBook's SDKs decrypt (sdk-js `util.ts`, `decrypt`). */
function decrypt(cipher: string, key: string): string {
  const [iv, data] = cipher.split('.');
  const bytes = Buffer.from(key, 'base64');
  const decipher = createDecipheriv(`aes-${bytes.length * 8}-cbc`, bytes, Buffer.from(iv ?? '', 'base64'));
  return decipher.update(data ?? '', 'base64', 'utf8') + decipher.final('utf8');
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
