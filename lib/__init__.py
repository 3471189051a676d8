"""What the stages share: small modules named for the thing they hold."""
