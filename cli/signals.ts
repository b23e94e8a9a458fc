/** Ctrl-C and its kin as abort signals: the first asks for a clean stop, the second for one at once. */

export interface StopSignals {
  readonly stop: AbortSignal;
  readonly cancel: AbortSignal;
  /** Ends the listening. */
  readonly release: () => void;
}

export function listenForStop(onFirst: () => void): StopSignals {
  const stop = new AbortController();
  const cancel = new AbortController();
  const listener = (): void => {
    if (stop.signal.aborted) {
      cancel.abort();
    } else {
      stop.abort();
      onFirst();
    }
  };
  // A terminal that is closed says SIGHUP.
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, listener);
  const release = (): void => {
    for (const name of names) process.off(name, listener);
  };
  return { stop: stop.signal, cancel: cancel.signal, release };
}
