"""A real, installed OpenClaw measured on the same sessions as our stores: optional, and nothing here depends on one."""
