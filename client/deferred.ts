/** A promise that its maker settles. Nobody has to wait for it: a rejection that is not handled is no fault. */
export class Deferred<Value = void> {
  resolve: (value: Value) => void = () => undefined;
  reject: (reason: unknown) => void = () => undefined;
  readonly promise = new Promise<Value>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(() => undefined);
  }
}
