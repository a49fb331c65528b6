/** A value that changes, and those who want to know. */
export class Signal<T> {
  private readonly listeners: ((value: T) => void)[] = [];

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  set value(value: T) {
    this.current = value;
    this.touch();
  }

  /** Tell the listeners that something inside the value has changed. */
  touch(): void {
    for (const listener of this.listeners) listener(this.current);
  }

  /** Call `listener` now and after every change. */
  watch(listener: (value: T) => void): void {
    this.listeners.push(listener);
    listener(this.current);
  }
}
