// groups-api.ts: the management API of saved groups and of their revisions.

import { fieldsOf, type GrowthBookAnswer, type GrowthBookRequest, ok, page, refusal } from './answer.ts';
import type { ApiContext } from './features-api.ts';
import type { GroupRevision, StoredGroup } from './stored.ts';

export function groupsApi(
  context: ApiContext,
  request: GrowthBookRequest,
  rest: readonly string[],
): GrowthBookAnswer | undefined {
  const { groups } = context.stored;
  const [id] = rest;
  switch (`${request.method} ${rest.length}`) {
    case 'GET 0':
      return page('savedGroups', [...groups.values()], request.query);
    case 'POST 0':
      return create(context, request);
    case 'GET 1': {
      const group = groups.get(id!);
      return group ? ok({ savedGroup: group }) : refusal(404, 'Could not find saved group');
    }
    case 'POST 1': {
      const group = groups.get(id!);
      if (!group) return refusal(404, 'Could not find saved group');
      const { values } = fieldsOf(request.body);
      if (context.requiresApproval) return refusal(400, 'This saved group requires approval');
      if (Array.isArray(values)) group.values = [...(values as string[])];
      group.dateUpdated = context.stamp();
      context.changed();
      return ok({ savedGroup: group });
    }
  }
  return undefined;
}

function create(context: ApiContext, request: GrowthBookRequest): GrowthBookAnswer {
  const { name, type, attributeKey, values, description, owner } = fieldsOf(request.body);
  if (typeof name !== 'string' || name === '') return refusal(400, 'name: is required');
  if (type !== 'list' || typeof attributeKey !== 'string' || !Array.isArray(values))
    return refusal(400, 'this scripted server speaks saved groups of type list, with attributeKey and values');
  if (!context.stored.attributes.has(attributeKey)) return refusal(400, `Unknown attributeKey: ${attributeKey}`);
  const now = context.stamp();
  const group: StoredGroup = {
    id: `grp_${context.stored.groups.size + 1}`,
    type: 'list',
    name,
    owner: String(owner ?? ''),
    attributeKey,
    values: [...new Set(values as string[])],
    description: String(description ?? ''),
    dateCreated: now,
    dateUpdated: now,
  };
  context.stored.groups.set(group.id, group);
  context.changed();
  return ok({ savedGroup: group });
}

export function groupRevisionsApi(
  context: ApiContext,
  request: GrowthBookRequest,
  rest: readonly string[],
): GrowthBookAnswer | undefined {
  const [id, version, ...action] = rest;
  const group = context.stored.groups.get(id ?? '');
  if (!group) return refusal(404, 'Could not find saved group');
  const revisions = context.stored.groupRevisions.get(group.id) ?? [];
  if (request.method === 'GET' && rest.length === 1) {
    const wanted = request.query.get('status');
    const shown = revisions.filter((one) => wanted === null || one.status === wanted);
    return page('revisions', [...shown].reverse(), request.query);
  }
  if (request.method !== 'POST') return undefined;
  if (rest.length === 1) return ok({ revision: draft(context, group, String(fieldsOf(request.body).title ?? '')) });
  const revision =
    version === 'new'
      ? draft(context, group, String(fieldsOf(request.body).revisionTitle ?? ''))
      : revisions.find((one) => one.version === Number(version));
  if (!revision) return refusal(404, 'Could not find saved group revision');
  if (revision.status !== 'draft') return refusal(400, `Cannot edit a revision with status "${revision.status}"`);
  const { proposedSavedGroup: proposed } = revision;
  switch (action.join('/')) {
    case 'items/add':
      proposed.values = [...new Set([...proposed.values, ...itemsOf(request)])];
      return ok({ revision });
    case 'items/remove': {
      const gone = new Set(itemsOf(request));
      proposed.values = proposed.values.filter((value) => !gone.has(value));
      return ok({ revision });
    }
    case 'discard':
      revision.status = 'discarded';
      return ok({ revision });
    case 'publish':
      return publish(context, group, revision);
  }
  return undefined;
}

function draft(context: ApiContext, group: StoredGroup, title: string): GroupRevision {
  const revisions = context.stored.groupRevisions.get(group.id) ?? [];
  const now = context.stamp();
  const revision: GroupRevision = {
    id: `rev_${group.id}_${revisions.length + 1}`,
    version: revisions.length + 1,
    title,
    status: 'draft',
    authorId: context.by,
    reviews: [],
    activityLog: [],
    dateCreated: now,
    dateUpdated: now,
    baseSavedGroup: structuredClone(group),
    proposedSavedGroup: structuredClone(group),
    proposedChanges: [],
  };
  context.stored.groupRevisions.set(group.id, [...revisions, revision]);
  return revision;
}

function publish(context: ApiContext, group: StoredGroup, revision: GroupRevision): GrowthBookAnswer {
  if (context.requiresApproval) {
    const gate = {
      type: 'approval-required',
      severity: 'error',
      messages: ['This revision requires approval before publishing'],
      override: null,
      requiresPermission: 'bypassApprovalSavedGroups',
      resolution: {
        action: 'request-review',
        method: 'POST',
        path: `/saved-groups-revisions/${group.id}/${revision.version}/request-review`,
      },
    };
    return refusal(422, 'This revision cannot be published yet', { gates: [gate], warnings: [] });
  }
  if (JSON.stringify(group.values) !== JSON.stringify(revision.baseSavedGroup.values))
    return refusal(409, 'Merge conflicts exist — rebase before publishing', { details: { conflicts: [{ field: 'values' }] } });
  group.values = [...revision.proposedSavedGroup.values];
  group.dateUpdated = context.stamp();
  revision.status = 'merged';
  revision.dateUpdated = group.dateUpdated;
  context.changed();
  return ok({ revision });
}

function itemsOf(request: GrowthBookRequest): string[] {
  const { items } = fieldsOf(request.body);
  return Array.isArray(items) ? (items as string[]) : [];
}
