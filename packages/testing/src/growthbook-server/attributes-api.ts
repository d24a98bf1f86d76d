// attributes-api.ts: the management API of targeting attributes. Saved groups may only be lists of an attribute that is known.

import { fieldsOf, type GrowthBookAnswer, type GrowthBookRequest, ok, refusal } from './answer.ts';
import type { ApiContext } from './features-api.ts';

export function attributesApi(
  context: ApiContext,
  request: GrowthBookRequest,
  rest: readonly string[],
): GrowthBookAnswer | undefined {
  const { attributes } = context.stored;
  if (rest.length !== 0) return undefined;
  if (request.method === 'GET') return ok({ attributes: [...attributes].map((property) => ({ property, datatype: 'string' })) });
  if (request.method !== 'POST') return undefined;
  const { property, datatype } = fieldsOf(request.body);
  if (typeof property !== 'string' || datatype !== 'string')
    return refusal(400, 'this scripted server speaks attributes of datatype string');
  if (attributes.has(property)) return refusal(400, `Attribute ${property} already exists`);
  attributes.add(property);
  return ok({ attribute: { property, datatype } });
}
