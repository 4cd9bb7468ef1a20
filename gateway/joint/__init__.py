"""Joint channels as a service: opening, consent, time, take-over; one order of things for store and switchboard."""
