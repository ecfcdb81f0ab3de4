// Numbers as people read them. What is not known is a dash, never a zero.

const DASH = "–";
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** Money with three significant digits below 1 and cents above. */
export function money(value, currency) {
  if (!known(value)) return DASH;
  const size = Math.abs(value);
  const digits =
    size === 0
      ? { maximumFractionDigits: 0 }
      : size >= 1
        ? { minimumFractionDigits: 2, maximumFractionDigits: 2 }
        : { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency, ...digits }).format(value);
  } catch {
    return `${new Intl.NumberFormat("en", digits).format(value)} ${currency}`;
  }
}

/** Money for an axis, with no more digits than it needs. */
export function roughMoney(value, currency) {
  return money(value, currency).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

export function signedMoney(value, currency) {
  return known(value) && value > 0 ? `+${money(value, currency)}` : money(value, currency);
}

/** Seconds, as ms below one second. */
export function duration(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds < 1) return `${number(seconds * 1000)} ms`;
  return `${seconds < 100 ? seconds.toFixed(2) : seconds.toFixed(0)} s`;
}

/** A number with about three digits. */
export function number(value) {
  if (!known(value)) return DASH;
  const size = Math.abs(value);
  if (size >= 100 || size === 0) return count(Math.round(value));
  return value.toFixed(size >= 10 ? 1 : 2);
}

export const count = (value) => new Intl.NumberFormat("en").format(value);

export function percent(share) {
  if (!known(share)) return DASH;
  const value = share * 100;
  return `${value === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(value < 10 ? 2 : 1)} %`;
}

/** How long ago something began, roughly. */
export function span(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString("en", { hour12: false });
