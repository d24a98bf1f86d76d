// store.ts: the SDK's feature store, kept here so that a flag's version and variations can be seen beside its evaluation.
//
// Both SDKs take one through the documented option `featureStore`. What is in it has been through the SDK's own parser.

import type { Namespace } from './payload.ts';
import type { StoreItem } from './sdk.ts';

interface Kind {
  readonly namespace: string;
}
type Items = Readonly<Record<string, StoreItem>>;

/** LDFeatureStore, as 9.x and 7.x call it. */
export interface SharedStore {
  get(kind: Kind, key: string, callback: (item: StoreItem | null) => void): void;
  all(kind: Kind, callback: (items: Items) => void): void;
  init(data: Readonly<Record<string, Items>>, callback: () => void): void;
  upsert(kind: Kind, item: StoreItem & { readonly key: string }, callback: () => void): void;
  delete(kind: Kind, key: string, version: number, callback: () => void): void;
  initialized(callback: (isInitialized: boolean) => void): void;
  close(): void;
  /** The flag as the SDK evaluates it. */
  item(namespace: Namespace, key: string): StoreItem | undefined;
}

/** `applied` is called after the SDK has put something in: what can be read may differ now. */
export function createStore(applied: () => void): SharedStore {
  let items = new Map<string, Map<string, StoreItem>>();
  let isInitialized = false;
  const named = (namespace: string): Map<string, StoreItem> => {
    let found = items.get(namespace);
    if (!found) {
      found = new Map();
      items.set(namespace, found);
    }
    return found;
  };
  const store: SharedStore = {
    get(kind, key, callback) {
      const item = items.get(kind.namespace)?.get(key);
      callback(item && item.deleted !== true ? item : null);
    },
    all(kind, callback) {
      callback(Object.fromEntries([...named(kind.namespace)].filter(([, item]) => item.deleted !== true)));
    },
    init(data, callback) {
      items = new Map(Object.entries(data).map(([namespace, all]) => [namespace, new Map(Object.entries(all))] as const));
      isInitialized = true;
      callback();
      applied();
    },
    upsert(kind, item, callback) {
      const all = named(kind.namespace);
      if (item.version > (all.get(item.key)?.version ?? -1)) all.set(item.key, item);
      callback();
      applied();
    },
    delete: (kind, key, version, callback) => store.upsert(kind, { key, version, deleted: true }, callback),
    initialized: (callback) => callback(isInitialized),
    close() {},
    item(namespace, key) {
      const item = items.get(namespace === 'flags' ? 'features' : namespace)?.get(key);
      return item?.deleted === true ? undefined : item;
    },
  };
  return store;
}
