// Conversations, which are kept in this browser and nowhere else (IndexedDB: images may be large).
import type { Conversation } from './types'

const STORE = 'conversations'

let opened: Promise<IDBDatabase> | null = null

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

function open(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open('hearth', 1)
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' })
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  return opened
}

const store = async (mode: IDBTransactionMode) => (await open()).transaction(STORE, mode).objectStore(STORE)

// The newest first.
export async function all(): Promise<Conversation[]> {
  const list = await done<Conversation[]>((await store('readonly')).getAll())
  return list.sort((a, b) => b.changed - a.changed)
}
export async function put(conversation: Conversation) {
  await done((await store('readwrite')).put(conversation))
}
export async function remove(id: string) {
  await done((await store('readwrite')).delete(id))
}
