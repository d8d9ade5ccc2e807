// The shards of a model: fetched when asked for, held against their hash, kept in the browser.
"use strict";

/** @typedef {{name: string, bytes: number, sha256: string}} Shard */

const LiveShards = (() => {
  const STORE = "attention-guide-minilm";

  /** The browser's store; null where it has none, or keeps it from this page. */
  async function store() {
    try {
      return await caches.open(STORE);
    } catch {
      return null;
    }
  }

  /** Bytes of all shards. @param {Shard[]} shards */
  const total = (shards) => shards.reduce((sum, shard) => sum + shard.bytes, 0);

  /**
   * How many of the shards' bytes the browser keeps.
   *
   * @param {URL} base
   * @param {Shard[]} shards
   */
  async function kept(base, shards) {
    const shelf = await store();
    if (!shelf) return 0;
    const names = (await shelf.keys()).map((request) => request.url);
    return total(shards.filter((shard) => names.includes(new URL(shard.name, base).href)));
  }

  /** Give the browser's room back. */
  async function forget() {
    try {
      await caches.delete(STORE);
    } catch {} // it had none
  }

  /**
   * All shards, one after the other, out of the browser's store or from the site.
   *
   * @param {URL} base
   * @param {Shard[]} shards
   * @param {{signal: AbortSignal, progress: (bytes: number) => void}} options
   * @returns {Promise<{bytes: Uint8Array, kept: boolean}>} `kept`: whether all are in the store now
   */
  async function load(base, shards, { signal, progress }) {
    const bytes = new Uint8Array(total(shards));
    const shelf = await store();
    let at = 0;
    let all = shelf !== null;
    for (const [i, shard] of shards.entries()) {
      const room = bytes.subarray(at, at + shard.bytes);
      const url = new URL(shard.name, base).href;
      const part = `part ${i + 1} of ${shards.length}`;
      const found = await shelf?.match(url);
      if (!found || !(await good(await fill(found, room, () => {}), shard, room))) {
        const start = at;
        const count = await ask(url, room, part, signal, (n) => progress(start + n));
        if (!(await good(count, shard, room))) {
          throw new Error(`${part} arrived damaged; nothing of it was kept`);
        }
        all = (await keep(shelf, url, room)) && all;
      }
      signal.throwIfAborted();
      at += shard.bytes;
      progress(at);
    }
    return { bytes, kept: all };
  }

  /**
   * @param {string} url
   * @param {Uint8Array} room
   * @param {string} part its name for people
   * @param {AbortSignal} signal
   * @param {(bytes: number) => void} progress
   */
  async function ask(url, room, part, signal, progress) {
    try {
      const response = await fetch(url, { signal });
      if (!response.ok) throw new Error(`${part} is missing on the site (${response.status})`);
      return await fill(response, room, progress);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TypeError)) throw error;
      const why = navigator.onLine ? "the site doesn't answer" : "there is no network";
      throw new Error(`${part} could not be fetched: ${why}`);
    }
  }

  /**
   * Write a response's bytes into `room`.
   *
   * @param {Response} response
   * @param {Uint8Array} room
   * @param {(bytes: number) => void} progress
   * @returns {Promise<number>} how many came; more than there is room for means the wrong file
   */
  async function fill(response, room, progress) {
    let count = 0;
    const reader = response.body?.getReader();
    for (let turn = await reader?.read(); turn?.value; turn = await reader?.read()) {
      if (count + turn.value.length > room.length) return Infinity;
      room.set(turn.value, count);
      count += turn.value.length;
      progress(count);
    }
    return count;
  }

  /**
   * Whether bytes are the published ones. Pages without a secure address have no `subtle`: there
   * the length has to do.
   *
   * @param {number} count
   * @param {Shard} shard
   * @param {Uint8Array} room
   */
  async function good(count, shard, room) {
    if (count !== shard.bytes) return false;
    if (!globalThis.crypto?.subtle) return true;
    const digest = await crypto.subtle.digest("SHA-256", /** @type {BufferSource} */ (room));
    const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0"));
    return hex.join("") === shard.sha256;
  }

  /**
   * @param {Cache | null} shelf
   * @param {string} url
   * @param {Uint8Array} room
   */
  async function keep(shelf, url, room) {
    try {
      await shelf?.put(url, new Response(/** @type {BufferSource} */ (room)));
      return true;
    } catch {
      return false; // no room left
    }
  }

  return { total, kept, forget, load };
})();
