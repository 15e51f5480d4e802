/** Times of packets as text. */

/** `clock` is the local time of day, `date` also the day, `epoch` seconds since 1970. */
export type TimeForm = "clock" | "date" | "epoch" | "delta" | "none";

const MICROS_DIGITS = 6;

/** Prints the times of packets one after the other; `delta` needs the one before. */
export class TimePrinter {
  private readonly form: TimeForm;
  private readonly digits: number;
  private lastSeconds = -1;
  private lastNanos = 0;

  /** `digits` of the fraction: 6, or 9 for nanoseconds. */
  constructor(form: TimeForm, digits = MICROS_DIGITS) {
    this.form = form;
    this.digits = digits;
  }

  /** The time and a space, or nothing. */
  print(seconds: number, nanos: number): string {
    switch (this.form) {
      case "none":
        return "";
      case "epoch":
        return `${seconds}.${this.fraction(nanos)} `;
      case "delta":
        return this.delta(seconds, nanos);
      default:
        return this.local(seconds, nanos);
    }
  }

  private local(seconds: number, nanos: number): string {
    const at = new Date(seconds * 1000);
    const two = (n: number): string => String(n).padStart(2, "0");
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    return `${this.form === "date" ? `${day} ` : ""}${clock}.${this.fraction(nanos)} `;
  }

  /** Time since the packet before; a packet from before it has a minus. */
  private delta(seconds: number, nanos: number): string {
    const isFirst = this.lastSeconds < 0;
    let whole = isFirst ? 0 : seconds - this.lastSeconds;
    let rest = isFirst ? 0 : nanos - this.lastNanos;
    this.lastSeconds = seconds;
    this.lastNanos = nanos;
    const isBack = whole < 0 || (whole === 0 && rest < 0);
    if (isBack) {
      whole = -whole;
      rest = -rest;
    }
    if (rest < 0) {
      whole -= 1;
      rest += 1_000_000_000;
    }
    const two = (n: number): string => String(n).padStart(2, "0");
    const hours = two(Math.floor(whole / 3600));
    const clock = `${hours}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
    return `${isBack ? "-" : " "}${clock}.${this.fraction(rest)} `;
  }

  private fraction(nanos: number): string {
    return String(nanos).padStart(9, "0").slice(0, this.digits);
  }
}
